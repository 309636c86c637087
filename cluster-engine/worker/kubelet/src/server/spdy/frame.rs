//! Frames of SPDY/3.1.

use std::collections::BTreeMap;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::headers::{Compressor, Decompressor};

/// A frame, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    SynStream {
        id: u32,
        fin: bool,
        headers: BTreeMap<String, String>,
    },
    SynReply {
        id: u32,
    },
    Reset {
        id: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    Data {
        id: u32,
        fin: bool,
        bytes: Bytes,
    },
    /// Settings, window updates and the like.
    Other,
}

const CONTROL: u32 = 0x8003_0000;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const FIN: u8 = 1;
/// Streams have 31 bits.
const STREAM: u32 = 0x7fff_ffff;
/// A frame longer than this is no honest one.
const LONGEST: usize = 1 << 20;

/// Reads the next frame; `None` at the end of the connection.
///
/// # Errors
/// When the connection breaks or the bytes are no SPDY.
pub(super) async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    decompressor: &mut Decompressor,
) -> io::Result<Option<Frame>> {
    let mut head = [0; 8];
    match reader.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let flags = head[4];
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
    if length > LONGEST {
        return Err(invalid("a frame is too long"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    if first & !STREAM == 0 {
        return Ok(Some(Frame::Data { id: first, fin: flags & FIN != 0, bytes: body.into() }));
    }
    let number =
        |at: usize| body.get(at..at + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let id = number(0).unwrap_or_default();
    Ok(Some(match (first & 0xffff) as u16 {
        SYN_STREAM => {
            let block = body.get(10..).ok_or_else(|| invalid("a SYN_STREAM frame is too short"))?;
            Frame::SynStream { id: id & STREAM, fin: flags & FIN != 0, headers: decompressor.headers(block)? }
        }
        SYN_REPLY => {
            // The block must go through the decompressor: the next one builds on it.
            decompressor.headers(body.get(4..).ok_or_else(|| invalid("a SYN_REPLY frame is too short"))?)?;
            Frame::SynReply { id: id & STREAM }
        }
        RST_STREAM => Frame::Reset { id: id & STREAM },
        PING => Frame::Ping { id },
        GOAWAY => Frame::GoAway,
        _ => Frame::Other,
    }))
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Frame {
    /// The frame's bytes.
    pub(super) fn encode(&self, compressor: &mut Compressor) -> Bytes {
        let mut body = BytesMut::new();
        let (kind, flags) = match self {
            Self::Data { id, fin, bytes } => {
                let mut out = BytesMut::with_capacity(bytes.len() + 8);
                out.put_u32(id & STREAM);
                out.put_u32(u32::from(*fin) << 24 | bytes.len() as u32);
                out.extend_from_slice(bytes);
                return out.freeze();
            }
            Self::SynStream { id, fin, headers } => {
                body.put_u32(*id);
                body.put_u32(0);
                body.put_u16(0);
                body.extend_from_slice(&compressor.headers(headers));
                (SYN_STREAM, u8::from(*fin))
            }
            Self::SynReply { id } => {
                body.put_u32(*id);
                body.extend_from_slice(&compressor.headers(&BTreeMap::new()));
                (SYN_REPLY, 0)
            }
            Self::Reset { id } => {
                body.put_u32(*id);
                body.put_u32(5);
                (RST_STREAM, 0)
            }
            Self::Ping { id } => {
                body.put_u32(*id);
                (PING, 0)
            }
            Self::GoAway | Self::Other => {
                body.put_u32(0);
                body.put_u32(0);
                (GOAWAY, 0)
            }
        };
        let mut out = BytesMut::with_capacity(body.len() + 8);
        out.put_u32(CONTROL | u32::from(kind));
        out.put_u32(u32::from(flags) << 24 | body.len() as u32);
        out.extend_from_slice(&body);
        out.freeze()
    }
}
