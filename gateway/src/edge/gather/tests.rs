use std::io::IoSlice;
use std::pin::pin;
use std::task::Waker;

use super::*;

/// What was written, a piece for each write.
#[derive(Default)]
struct Written {
    plain: Vec<Vec<u8>>,
    vectored: Vec<Vec<u8>>,
    /// Most bytes that one write takes.
    takes: Option<usize>,
    flushes: usize,
}

/// There is always as much to be read as is asked for.
impl AsyncRead for Written {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buf.put_slice(&vec![b'x'; buf.remaining()]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Written {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let taken = self.takes.unwrap_or(buf.len()).min(buf.len());
        self.plain.push(buf[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = bufs.iter().flat_map(|piece| piece.to_vec()).collect();
        self.vectored.push(all.clone());
        Poll::Ready(Ok(all.len()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn write(to: &mut Gather<Written>, pieces: &[&[u8]]) -> usize {
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    match Pin::new(to).poll_write_vectored(&mut Context::from_waker(Waker::noop()), &slices) {
        Poll::Ready(Ok(written)) => written,
        other => panic!("{other:?}"),
    }
}

#[test]
fn small_pieces_go_out_in_one_plain_write() {
    let mut to = Gather::new(Written::default());
    assert_eq!(write(&mut to, &[b"head", b"", b"body"]), 8);
    assert_eq!(to.io.get_ref().plain, [b"headbody"]);
    assert!(to.io.get_ref().vectored.is_empty());
}

#[test]
fn nothing_is_left_over_from_the_write_before() {
    let mut to = Gather::new(Written::default());
    write(&mut to, &[b"one", b"two"]);
    write(&mut to, &[b"a", b"b"]);
    assert_eq!(to.io.get_ref().plain, [b"onetwo".to_vec(), b"ab".to_vec()]);
}

#[test]
fn a_write_that_takes_less_says_so() {
    let mut to = Gather::new(Written { takes: Some(5), ..Written::default() });
    assert_eq!(write(&mut to, &[b"head", b"body"]), 5);
}

#[test]
fn one_piece_is_not_copied_however_large() {
    let mut to = Gather::new(Written::default());
    let large = vec![7; 10 * SMALL];
    assert_eq!(write(&mut to, &[b"", &large]), large.len());
    assert_eq!((to.io.get_ref().plain.len(), to.io.get_ref().vectored.len()), (1, 0));
}

#[test]
fn what_is_large_stays_in_pieces() {
    let mut to = Gather::new(Written::default());
    write(&mut to, &[b"h", &vec![7; SMALL]]);
    assert_eq!((to.io.get_ref().plain.len(), to.io.get_ref().vectored.len()), (0, 1));
    write(&mut to, &[b"h", &vec![7; SMALL - 1]]);
    assert_eq!((to.io.get_ref().plain.len(), to.io.get_ref().vectored.len()), (1, 1));
}

#[test]
fn nothing_to_write_is_the_streams_own_affair() {
    let mut to = Gather::new(Written::default());
    assert_eq!(write(&mut to, &[]), 0);
    assert_eq!(to.io.get_ref().vectored.len(), 1);
}

#[test]
fn it_flushes_what_was_written_and_nothing_else() {
    let mut to = Gather::new(Written::default());
    let flush = |to: &mut Gather<Written>| {
        let flushed = Pin::new(&mut *to).poll_flush(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(flushed, Poll::Ready(Ok(()))));
        to.io.get_ref().flushes
    };
    assert_eq!(flush(&mut to), 0);
    write(&mut to, &[b"head", b"body"]);
    assert_eq!(flush(&mut to), 1);
    assert_eq!(flush(&mut to), 1);
    let plain = Pin::new(&mut to).poll_write(&mut Context::from_waker(Waker::noop()), b"more");
    assert!(matches!(plain, Poll::Ready(Ok(4))));
    assert_eq!(flush(&mut to), 2);
}

#[test]
fn no_read_is_larger_than_a_piece_and_there_is_always_another() {
    let mut from = pin!(Gather::new(Written::default()));
    for room in [100, 1 << 20, 1 << 20] {
        let mut buffer = vec![0; room];
        let mut buffer = ReadBuf::new(&mut buffer);
        let read = from.as_mut().poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(()))));
        assert_eq!(buffer.filled().len(), room.min(PIECE));
    }
}
