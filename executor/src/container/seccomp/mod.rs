//! The filter of system calls: Docker's default profile for a set of capabilities, as a program of
//! classic BPF that finds a call by bisection, so that none pays for the length of the list.
//! Knows no container; loading it is [`sys::filter`](crate::sys::filter)'s.

mod profile;
mod tree;

use super::capability::Capabilities;
use crate::sys::filter::Instruction;
use profile::{Column, ranges};
use tree::{ARCH, Assembler, KILL, NUMBER};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;

/// The filter for a container with `capabilities`. A call by the conventions of another machine
/// kills the process, but for i386 on x86_64, which has a list of its own; x32 does not exist.
pub(crate) fn filter(capabilities: Capabilities) -> Vec<Instruction> {
    let machines: &[(u32, Column)] = if cfg!(target_arch = "aarch64") {
        &[(AARCH64, Column::Aarch64)]
    } else {
        &[(X86_64, Column::X86_64), (I386, Column::I386)]
    };
    let mut assembler = Assembler::default();
    assembler.load(ARCH);
    for &(machine, column) in machines {
        let mut body = Assembler::default();
        body.load(NUMBER);
        body.bisect(&ranges(column, capabilities));
        assembler.unless_equal_skip(machine, body);
    }
    assembler.give(KILL);
    assembler.finish()
}

/// The same as the OCI runtime specification has it, for another runtime to load.
pub(crate) fn document(capabilities: Capabilities) -> serde_json::Value {
    profile::document(capabilities)
}

/// What the kernel would do with `program`.
#[cfg(test)]
fn run(program: &[Instruction], machine: u32, number: u32, args: [u64; 6]) -> u32 {
    let word = |offset: u32| match offset {
        NUMBER => number,
        ARCH => machine,
        _ => {
            let arg = args[(offset as usize - 16) / 8];
            (if (offset - 16).is_multiple_of(8) {
                arg
            } else {
                arg >> 32
            }) as u32
        }
    };
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let instruction = program[at];
        at += 1;
        let jump = |yes: bool| usize::from(if yes { instruction.yes } else { instruction.no });
        let operand = instruction.operand;
        match u32::from(instruction.code) {
            libc::BPF_RET => return operand,
            code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                accumulator = word(operand);
            }
            code if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K => accumulator &= operand,
            code if code == libc::BPF_JMP | libc::BPF_JA => at += operand as usize,
            code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => {
                at += jump(accumulator == operand);
            }
            code if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => {
                at += jump(accumulator >= operand);
            }
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tree::{ALLOW, errno};

    const DOCKER: Capabilities = Capabilities(0xa804_25fb);
    const ALL: Capabilities = Capabilities((1 << 41) - 1);
    const NATIVE: u32 = if cfg!(target_arch = "aarch64") {
        AARCH64
    } else {
        X86_64
    };

    fn call(capabilities: Capabilities, number: libc::c_long, first: u64) -> u32 {
        let args = [first, 0, 0, 0, 0, 0];
        run(&filter(capabilities), NATIVE, number as u32, args)
    }

    #[test]
    fn calls_are_decided_as_docker_does() {
        let (eperm, enosys) = (errno(libc::EPERM), errno(libc::ENOSYS));
        let vsock = libc::AF_VSOCK as u64;
        let inet = libc::AF_INET as u64;
        let cases = [
            (DOCKER, libc::SYS_read, 0, ALLOW),
            (DOCKER, libc::SYS_execve, 0, ALLOW),
            (DOCKER, libc::SYS_openat2, 0, ALLOW),
            (DOCKER, libc::SYS_mount, 0, eperm),
            (ALL, libc::SYS_mount, 0, ALLOW),
            (DOCKER, libc::SYS_unshare, 0, eperm),
            (DOCKER, libc::SYS_keyctl, 0, eperm),
            (ALL, libc::SYS_keyctl, 0, eperm),
            (DOCKER, libc::SYS_io_uring_setup, 0, eperm),
            (DOCKER, libc::SYS_chroot, 0, ALLOW),
            (Capabilities(0), libc::SYS_chroot, 0, eperm),
            (DOCKER, libc::SYS_clone, libc::SIGCHLD as u64, ALLOW),
            (DOCKER, libc::SYS_clone, libc::CLONE_NEWUSER as u64, eperm),
            (ALL, libc::SYS_clone, libc::CLONE_NEWUSER as u64, ALLOW),
            (DOCKER, libc::SYS_clone3, 0, enosys),
            (ALL, libc::SYS_clone3, 0, ALLOW),
            (DOCKER, libc::SYS_socket, inet, ALLOW),
            (DOCKER, libc::SYS_socket, vsock, eperm),
            (DOCKER, libc::SYS_socket, 1 << 40 | vsock, eperm),
            (DOCKER, libc::SYS_personality, 0, ALLOW),
            (DOCKER, libc::SYS_personality, 8, ALLOW),
            (DOCKER, libc::SYS_personality, 0x0002_0008, ALLOW),
            (DOCKER, libc::SYS_personality, 0xffff_ffff, ALLOW),
            (DOCKER, libc::SYS_personality, 0x0004_0000, eperm),
            (Capabilities(1 << 34), libc::SYS_syslog, 0, ALLOW),
            (DOCKER, libc::SYS_syslog, 0, eperm),
            (DOCKER, 467, 0, eperm),
            (DOCKER, 468, 0, enosys),
            (DOCKER, 100_000, 0, enosys),
        ];
        for (capabilities, number, first, wanted) in cases {
            let got = call(capabilities, number, first);
            assert_eq!(got, wanted, "call {number} with {first:#x}");
        }
    }

    #[test]
    fn other_conventions_are_shut() {
        let program = filter(DOCKER);
        assert_eq!(run(&program, 0x1234, 0, [0; 6]), KILL);
        if cfg!(target_arch = "x86_64") {
            let x32 = 0x4000_0000;
            assert_eq!(run(&program, X86_64, x32, [0; 6]), errno(libc::ENOSYS));
            // open is 5 and mount 21 on i386
            assert_eq!(run(&program, I386, 5, [0; 6]), ALLOW);
            assert_eq!(run(&program, I386, 21, [0; 6]), errno(libc::EPERM));
        }
    }

    #[test]
    fn bisection_finds_what_the_list_says() {
        for capabilities in [DOCKER, ALL, Capabilities(0)] {
            let program = filter(capabilities);
            let ranges = ranges(Column::X86_64, capabilities);
            if cfg!(target_arch = "x86_64") {
                for number in 0..600 {
                    let (_, decision) = ranges[ranges.partition_point(|r| r.0 <= number) - 1];
                    if let Some(wanted) = decision.fixed() {
                        assert_eq!(run(&program, X86_64, number, [0; 6]), wanted, "{number}");
                    }
                }
            }
            assert!(program.len() < 1000, "{} instructions", program.len());
        }
    }
}
