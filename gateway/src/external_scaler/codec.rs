//! How messages are read and written: with buffers for such as KEDA's, which have some hundred bytes. The usual ones have 8 KiB each,
//! twice for every call, and one for as long as somebody listens.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Bytes at first; they grow with what is in them.
const BUFFER: usize = 512;
/// Bytes that may come together before they are sent.
const TOGETHER: usize = 32 * 1024;

/// Protobuf, with small buffers.
#[derive(Debug)]
pub struct Small<T, U>(PhantomData<(T, U)>);

// === impl Small ===

impl<T, U> Default for Small<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Small<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER, TOGETHER))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BUFFER, TOGETHER))
    }
}
