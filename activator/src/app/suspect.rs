/// How long others are preferred still to one that has not passed.
const NOT_YET: Duration = Duration::from_secs(2);

    /// `endpoint` has answered: it is as good as others from now on.
    pub fn trust(self: &Arc<Self>, endpoint: &Endpoint) {
        if endpoint.trust() {
            self.serve_line();
        }
    }
}

// === impl App: endpoints that may end ===

impl App {
    /// How long it is still suspect; nothing once it is over, and those in line are served.
    fn left(&self) -> Option<Duration> {
        let (app, endpoint) = (self.app.upgrade()?, self.endpoint.upgrade()?);
        let left = endpoint.still_suspect(app.clock().now());
        if left.is_none() {
            app.serve_line();
        }
        left
    }

    /// It has not passed.
    fn distrust(&self) {
        let (Some(app), Some(endpoint)) = (self.app.upgrade(), self.endpoint.upgrade()) else { return };
        let now = app.clock().now();
        // It may have answered a request meanwhile.
        if endpoint.is_suspect(now) {
            endpoint.suspect(now + NOT_YET);
        }
    }
}
