//! From a question's bytes to an answer's bytes.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};

use crate::forward::Upstreams;
use crate::zone::{Answer, Records, Zone};

/// What a client that does not say otherwise can take over UDP.
const SMALLEST: u16 = 512;
/// More than this is not sent over UDP, whatever the client says: larger packets get lost on the way.
const LARGEST: u16 = 1232;
/// Names that stand for names that stand for names.
const MOST_ALIASES: usize = 8;

/// Answers questions.
pub struct Responder<R> {
    zone: Zone<R>,
    upstreams: Upstreams,
}

/// How a question came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One packet each way.
    Udp,
    /// A stream, where answers can be long.
    Tcp,
}

impl<R: Records> Responder<R> {
    /// Answers from `zone`, and about other names what `upstreams` say.
    pub fn new(zone: Zone<R>, upstreams: Upstreams) -> Responder<R> {
        Responder { zone, upstreams }
    }

    /// Whether the cluster's names are known.
    pub fn is_ready(&self) -> bool {
        self.zone.is_ready()
    }

    /// Answers a message; none if there is nothing that could be answered (not even an error).
    pub async fn respond(&self, bytes: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let request = match Message::from_vec(bytes) {
            Ok(request) => request,
            Err(_) => {
                // An answer to a response, or to noise, could go back and forth for ever.
                let [i0, i1, flags, ..] = *bytes else { return None };
                if flags & 0x80 != 0 || bytes.len() < 12 {
                    return None;
                }
                let id = u16::from_be_bytes([i0, i1]);
                return Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok();
            }
        };
        if request.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut response = Message::response(request.metadata.id, request.metadata.op_code);
        response.metadata.recursion_desired = request.metadata.recursion_desired;
        response.metadata.recursion_available = !self.upstreams.is_empty();
        response.add_queries(request.queries.iter().cloned());
        let room = request.edns.as_ref().map_or(SMALLEST, |edns| edns.max_payload().clamp(SMALLEST, LARGEST));
        if let Some(theirs) = &request.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST).set_dnssec_ok(theirs.flags().dnssec_ok);
            response.set_edns(edns);
            if theirs.version() > 0 {
                response.metadata.response_code = ResponseCode::BADVERS;
                return response.to_vec().ok();
            }
        }
        match request.queries.as_slice() {
            _ if request.metadata.op_code != OpCode::Query => response.metadata.response_code = ResponseCode::NotImp,
            [query] if matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) => {
                if let Some(forwarded) =
                    self.fill(&mut response, bytes, query.name(), query.query_type(), transport).await
                {
                    return Some(forwarded);
                }
            }
            [_] => response.metadata.response_code = ResponseCode::Refused,
            _ => response.metadata.response_code = ResponseCode::FormErr,
        }
        let limit = match transport {
            Transport::Udp => usize::from(room),
            Transport::Tcp => usize::from(u16::MAX),
        };
        fit(response, limit)
    }

    /// Fills the answer in, or returns another server's.
    async fn fill(
        &self,
        response: &mut Message,
        question: &[u8],
        name: &Name,
        kind: RecordType,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let mut name = name.clone();
        let mut asked = None;
        for _ in 0..MOST_ALIASES {
            match self.zone.answer(&name, kind) {
                Answer::NotOurs if asked.is_none() => {
                    match self.upstreams.ask(question, transport == Transport::Tcp).await {
                        Some(answer) => return Some(answer),
                        None => response.metadata.response_code = ResponseCode::ServFail,
                    }
                }
                Answer::NotOurs => self.follow(response, &name, kind).await,
                Answer::NotReady => response.metadata.response_code = ResponseCode::ServFail,
                Answer::NoSuchName => {
                    response.metadata.authoritative = true;
                    response.metadata.response_code = ResponseCode::NXDomain;
                    response.add_authority(self.zone.soa());
                }
                Answer::Found { mut records, additional } => {
                    response.metadata.authoritative = true;
                    if records.is_empty() {
                        response.add_authority(self.zone.soa());
                    } else {
                        // Clients take the first address: let each be the first in turn.
                        let turn = usize::from(response.metadata.id) % records.len();
                        records.rotate_left(turn);
                    }
                    response.add_answers(records);
                    response.add_additionals(additional);
                }
                Answer::Alias { record, target } => {
                    response.metadata.authoritative = true;
                    response.add_answer(*record);
                    name = target;
                    asked = Some(());
                    continue;
                }
            }
            return None;
        }
        // A circle of aliases.
        response.answers.clear();
        response.metadata.response_code = ResponseCode::ServFail;
        None
    }

    /// Looks up the name that an alias of ours stands for elsewhere; without an answer the alias alone is told.
    async fn follow(&self, response: &mut Message, name: &Name, kind: RecordType) {
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(hickory_proto::op::Query::query(name.clone(), kind));
        let Ok(bytes) = question.to_vec() else { return };
        let Some(answer) = self.upstreams.ask(&bytes, false).await else { return };
        if let Ok(answer) = Message::from_vec(&answer) {
            response.add_answers(answer.answers.into_iter().filter(|record: &Record| {
                let found = record.record_type();
                found == kind || found == RecordType::CNAME
            }));
        }
    }
}

/// The message in at most `limit` bytes: what does not fit is left out, and said to be.
fn fit(mut response: Message, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = response.to_vec().ok()?;
    if bytes.len() > limit && !response.additionals.is_empty() {
        // A courtesy; leaving it out is no truncation.
        response.additionals.clear();
        bytes = response.to_vec().ok()?;
    }
    while bytes.len() > limit {
        response.metadata.truncation = true;
        let fewer = response.answers.len() * limit / bytes.len();
        if response.answers.is_empty() {
            response.authorities.clear();
            return response.to_vec().ok();
        }
        response.answers.truncate(fewer.min(response.answers.len() - 1));
        bytes = response.to_vec().ok()?;
    }
    Some(bytes)
}
