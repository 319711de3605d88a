//! An assembler for classic BPF that knows one shape: a bisection over sorted ranges.

use super::profile::Decision;
use crate::sys::filter::Instruction;

/// Offsets in `struct seccomp_data`.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCH: u32 = 4;
/// The low word of the first argument, on machines that store it first.
const FIRST: u32 = 16;

pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
pub(super) const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// The result that makes a call give an error.
pub(super) const fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number as u32
}

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// PER_LINUX, PER_LINUX32, each also with UNAME26, and the question which it is.
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0xffff_ffff];

/// A program in the making.
#[derive(Debug, Default)]
pub(super) struct Assembler(Vec<Instruction>);

impl Assembler {
    fn push(&mut self, code: u32, operand: u32, yes: u8, no: u8) {
        self.0.push(Instruction {
            code: code as u16,
            yes,
            no,
            operand,
        });
    }

    /// Loads the word at `offset`.
    pub(super) fn load(&mut self, offset: u32) {
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    }

    /// Ends with `result`.
    pub(super) fn give(&mut self, result: u32) {
        self.push(libc::BPF_RET, result, 0, 0);
    }

    /// Goes through `body`, which must end, only if what was loaded is `value`.
    pub(super) fn unless_equal_skip(&mut self, value: u32, body: Self) {
        // a conditional jump reaches 255 instructions, an unconditional one anywhere
        self.push(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, 1, 0);
        self.push(libc::BPF_JMP | libc::BPF_JA, body.0.len() as u32, 0, 0);
        self.0.extend(body.0);
    }

    /// Ends as the range says in which the loaded number falls.
    pub(super) fn bisect(&mut self, ranges: &[(u32, Decision)]) {
        if let [(_, decision)] = ranges {
            return self.decide(*decision);
        }
        let (below, above) = ranges.split_at(ranges.len() / 2);
        let Some(&(middle, _)) = above.first() else {
            return;
        };
        let mut lower = Self::default();
        lower.bisect(below);
        let at_least = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
        if let Ok(length) = u8::try_from(lower.0.len()) {
            self.push(at_least, middle, length, 0);
        } else {
            self.push(at_least, middle, 0, 1);
            self.push(libc::BPF_JMP | libc::BPF_JA, lower.0.len() as u32, 0, 0);
        }
        self.0.extend(lower.0);
        self.bisect(above);
    }

    fn decide(&mut self, decision: Decision) {
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let eperm = errno(libc::EPERM);
        match decision {
            Decision::Always(result) => self.give(result),
            Decision::Socket => {
                self.load(FIRST);
                self.push(equal, libc::AF_VSOCK as u32, 0, 1);
                self.give(eperm);
                self.give(ALLOW);
            }
            Decision::Personality => {
                self.load(FIRST);
                for (index, personality) in PERSONALITIES.into_iter().enumerate() {
                    let rest = (PERSONALITIES.len() - index) as u8;
                    self.push(equal, personality, rest, 0);
                }
                self.give(eperm);
                self.give(ALLOW);
            }
            Decision::Clone => {
                self.load(FIRST);
                self.push(
                    libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
                    NEW_NAMESPACES,
                    0,
                    0,
                );
                self.push(equal, 0, 1, 0);
                self.give(eperm);
                self.give(ALLOW);
            }
        }
    }

    /// The program.
    pub(super) fn finish(self) -> Vec<Instruction> {
        self.0
    }
}
