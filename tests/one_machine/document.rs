//! `HTTPApp` documents for tests.

use std::fmt;

/// The binary under test.
pub const ZEROGATE: &str = env!("CARGO_BIN_EXE_zerogate");

/// A document, written as YAML by its `Display`.
#[derive(Debug, Clone)]
pub struct App {
    name: String,
    routes: String,
    command: Vec<String>,
    process: String,
    target: String,
    spec: String,
}

impl App {
    /// `zerogate echo` at `NAME.localhost`, ready when `/healthz` says so.
    pub fn echo(name: &str) -> Self {
        Self::echo_with(name, "")
    }

    /// The same with these flags.
    pub fn echo_with(name: &str, flags: &str) -> Self {
        let mut app = Self::command(name, &["zerogate", "echo", "--name", name]);
        app.command.extend(flags.split_whitespace().map(str::to_owned));
        app.target("readiness: {httpGet: {path: /healthz}}")
    }

    /// Any command at `NAME.localhost`, ready when it listens.
    pub fn command(name: &str, command: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            routes: format!("[{{hosts: [{name}.localhost]}}]"),
            command: command.iter().map(ToString::to_string).collect(),
            process: String::new(),
            target: String::new(),
            spec: String::new(),
        }
    }

    /// The value of `spec.routes`, in YAML's flow style.
    pub fn routes(self, routes: &str) -> Self {
        Self { routes: routes.to_owned(), ..self }
    }

    /// More fields of `spec.target.process`, in flow style: `stopGrace: 1s, env: {A: b}`.
    pub fn process(self, fields: &str) -> Self {
        Self { process: format!(", {fields}"), ..self }
    }

    /// A line of `spec.target` beside `process`, in place of what was given before.
    pub fn target(self, line: &str) -> Self {
        Self { target: line.to_owned(), ..self }
    }

    /// One more line of `spec.target`.
    pub fn and_target(mut self, line: &str) -> Self {
        self.target = format!("{}\n    {line}", self.target);
        self
    }

    /// One more line of `spec`: `hold: {maxRequests: 5}`.
    pub fn spec(mut self, line: &str) -> Self {
        self.spec = format!("{}  {line}\n", self.spec);
        self
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, routes, command, process, target, spec } = self;
        let command = serde_json::to_string(command).unwrap();
        write!(
            f,
            "apiVersion: zerogate.dev/v1alpha1\nkind: HTTPApp\nmetadata: {{name: {name}}}\nspec:\n  routes: {routes}\n  \
             target:\n    process: {{command: {command}{process}}}\n    {target}\n{spec}"
        )
    }
}

/// All of them in one file.
pub fn file(apps: &[App]) -> String {
    apps.iter().map(ToString::to_string).collect::<Vec<_>>().join("---\n")
}
