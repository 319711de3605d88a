//! A server of a directory's files at 127.0.0.1, for whoever asks, or may.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves the files below `dir` as long as the test runs. Gives its address.
pub fn serve(dir: PathBuf) -> String {
    serve_whom(dir, |_| true)
}

/// As [`serve`], but only to requests whose headers please `allowed`.
pub fn serve_whom(dir: PathBuf, allowed: fn(&[String]) -> bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&dir, stream, allowed);
        }
    });
    address
}

fn answer(dir: &Path, mut stream: TcpStream, allowed: fn(&[String]) -> bool) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    // A client that is answered before all of its request was read may miss the answer.
    let headers: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = first.split([' ', '?']).nth(1).unwrap_or_default();
    let (status, body) = match fs::read(dir.join(path.trim_start_matches('/'))) {
        _ if !allowed(&headers) => ("401 Unauthorized", Vec::new()),
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Who does not read the answer misses it.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body));
}
