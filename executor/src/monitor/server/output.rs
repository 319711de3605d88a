//! Bytes between a container and those who are attached: output to them and to the log, input the other
//! way. Knows no container's life.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use super::serve::{Monitor, Role};
use crate::container::Stream;
use crate::monitor::protocol::Reply;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// What came of one read.
#[derive(PartialEq, Eq)]
enum Got {
    Bytes,
    Nothing,
    End,
}

impl Monitor {
    /// Passes on what the container wrote, one piece.
    pub(super) fn pass_on(&mut self, stream: Stream) {
        self.read_output(stream);
    }

    /// Passes on everything that the container wrote before it ended.
    pub(super) fn drain(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            while self.read_output(stream) == Got::Bytes {}
        }
    }

    fn read_output(&mut self, stream: Stream) -> Got {
        let Some(running) = &mut self.running else {
            return Got::End;
        };
        let file = match stream {
            Stream::Out => &mut running.out,
            Stream::Err => &mut running.err,
        };
        let Some(open) = file else {
            return Got::End;
        };
        let mut buffer = [0; PIECE];
        match open.read(&mut buffer) {
            Ok(count @ 1..) => {
                self.heard(stream, &buffer[..count]);
                Got::Bytes
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Got::Nothing,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Got::Bytes,
            // a terminal ends with an error, when nobody has its other side any more
            Ok(_) | Err(_) => {
                *file = None;
                Got::End
            }
        }
    }

    fn heard(&mut self, stream: Stream, bytes: &[u8]) {
        self.log.write(stream, bytes);
        for (_, link) in &mut self.links {
            if let Role::Attached { .. } | Role::Starter { attached: Some(_) } = link.role {
                link.send(&Reply::Output(stream), bytes, Vec::new());
            }
        }
    }

    /// Takes bytes for the container's standard input.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        if let Some(running) = &mut self.running
            && running.input.is_some()
        {
            running.queue.extend(bytes);
            self.feed();
        }
    }

    /// Takes it that no more input follows. A terminal stays.
    pub(super) fn end_input(&mut self) {
        if let Some(running) = &mut self.running
            && running.terminal.is_none()
        {
            running.input_ended = true;
            self.feed();
        }
    }

    /// Gives the container what it reads.
    pub(super) fn feed(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Some(file) = &mut running.input else {
            running.queue.clear();
            return;
        };
        while !running.queue.is_empty() {
            let (front, _) = running.queue.as_slices();
            match file.write(front) {
                Ok(count) => {
                    running.queue.drain(..count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => {
                    // nobody reads it any more
                    running.queue.clear();
                    running.input = None;
                    return;
                }
            }
        }
        running.queue.shrink_to(0);
        if running.input_ended {
            running.input = None;
        }
    }

    /// Sets the size of the container's terminal, now and when it is started again.
    pub(super) fn set_size(&mut self, size: (u16, u16)) {
        self.size = Some(size);
        if let Some(terminal) = self
            .running
            .as_ref()
            .and_then(|running| running.terminal.as_ref())
        {
            resize(&terminal.master, size);
        }
    }
}

/// Sets the size of a terminal, in rows and columns.
pub(super) fn resize(terminal: impl AsFd, (rows, columns): (u16, u16)) {
    let size = rustix::termios::Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // a terminal that hung up has no size
    let _ = rustix::termios::tcsetwinsize(terminal.as_fd(), size);
}
