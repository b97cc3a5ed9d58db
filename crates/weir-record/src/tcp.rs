//! The state of a TCP conversation, as far as its flags tell.

const FIN: u16 = 0x01;
const SYN: u16 = 0x02;
const RST: u16 = 0x04;
const PSH: u16 = 0x08;
const ACK: u16 = 0x10;
const URG: u16 = 0x20;

/// How far a TCP conversation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpState {
    /// Nobody has acknowledged anything: a SYN without an answer, or a probe with odd flags.
    Attempted,
    /// One end has answered, the other has not come back to it.
    HalfOpen,
    /// Both ends acknowledge.
    Established,
    /// Both ends have said FIN.
    Closed,
    /// One end has said RST.
    Reset,
}

impl TcpState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Attempted, Self::HalfOpen, Self::Established, Self::Closed, Self::Reset];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::HalfOpen => "half_open",
            Self::Established => "established",
            Self::Closed => "closed",
            Self::Reset => "reset",
        }
    }

    /// Whether nothing more is to be expected but last acknowledgements.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }

    /// The state of a conversation between these two. Of an end that is not seen nothing is asked:
    /// the other one speaks for both.
    pub fn of(ends: [TcpEnd; 2]) -> Self {
        let any = ends[0].flags | ends[1].flags;
        let [both_fin, both_ack] = [FIN, ACK].map(|flag| ends.iter().all(|end| end.flags & flag != 0));
        if both_fin {
            Self::Closed
        } else if any & RST != 0 {
            Self::Reset
        } else if any & ACK == 0 {
            Self::Attempted
        } else if ends.iter().all(|end| end.seen) {
            if both_ack { Self::Established } else { Self::HalfOpen }
        } else if any & FIN != 0 {
            Self::Closed
        } else if ends.iter().any(TcpEnd::only_answered) {
            Self::HalfOpen
        } else {
            Self::Established
        }
    }
}

/// What one end of a TCP conversation has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpEnd {
    /// Whether it has sent anything.
    pub seen: bool,
    /// All flags, ORed.
    pub flags: u16,
    /// Whether one packet was a SYN without ACK: it opened the conversation.
    pub opened: bool,
    /// Whether one was a SYN with ACK: it was asked.
    pub answered: bool,
}

impl TcpEnd {
    /// A SYN-ACK, perhaps several times, and nothing after it.
    fn only_answered(&self) -> bool {
        self.flags & (SYN | ACK) == SYN | ACK && self.flags & (PSH | URG | FIN) == 0 && !self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(flags: u16) -> TcpEnd {
        TcpEnd { seen: true, flags, ..TcpEnd::default() }
    }

    fn opener(flags: u16) -> TcpEnd {
        TcpEnd { opened: true, ..end(flags) }
    }

    /// Whichever end is which.
    fn assert_state(a: TcpEnd, b: TcpEnd, expected: TcpState) {
        assert_eq!([TcpState::of([a, b]), TcpState::of([b, a])], [expected; 2], "{a:?} {b:?}");
    }

    #[test]
    fn a_connection_from_its_first_packet_to_its_last() {
        assert_state(opener(SYN), TcpEnd::default(), TcpState::Attempted);
        assert_state(opener(SYN), end(SYN | ACK), TcpState::HalfOpen);
        assert_state(opener(SYN | ACK), end(SYN | ACK), TcpState::Established);
        assert_state(opener(SYN | ACK | PSH | FIN), end(SYN | ACK | PSH), TcpState::Established);
        assert_state(opener(SYN | ACK | PSH | FIN), end(SYN | ACK | PSH | FIN), TcpState::Closed);
        assert_state(opener(SYN | ACK | FIN | RST), end(SYN | ACK | FIN), TcpState::Closed);
    }

    #[test]
    fn refused_and_broken_off() {
        assert_state(opener(SYN), end(RST | ACK), TcpState::Reset);
        assert_state(opener(SYN | RST), end(SYN | ACK), TcpState::Reset);
        assert_state(opener(SYN | ACK | FIN), end(SYN | ACK | RST), TcpState::Reset);
    }

    #[test]
    fn a_conversation_that_was_met_on_its_way() {
        assert_state(end(ACK | PSH), end(ACK), TcpState::Established);
        assert_state(end(ACK | FIN), end(ACK | FIN), TcpState::Closed);
    }

    #[test]
    fn one_end_alone() {
        let nobody = TcpEnd::default();
        assert_state(opener(SYN | ACK), nobody, TcpState::Established);
        assert_state(end(SYN | ACK), nobody, TcpState::HalfOpen);
        assert_state(end(SYN | ACK | PSH), nobody, TcpState::Established);
        assert_state(end(ACK), nobody, TcpState::Established);
        assert_state(end(ACK | FIN), nobody, TcpState::Closed);
        assert_state(end(ACK | FIN | RST), nobody, TcpState::Reset);
    }

    #[test]
    fn odd_flags_are_attempts() {
        for flags in [0, FIN, FIN | PSH | URG] {
            assert_state(end(flags), TcpEnd::default(), TcpState::Attempted);
        }
    }
}
