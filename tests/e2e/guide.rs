//! The walk of `examples/guide`, on a machine whose packages come from nowhere: its package tool
//! "installs" web servers that are busybox. `scripts/guide` walks with Debian's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{Place, base_tar, binary, has_networks, said};

const APT_GET: &str = r#"#!/bin/sh
case "$*" in
"update" | "clean") ;;
"-y install apache2")
    mkdir -p /etc/apache2 /var/www/html
    echo 'export APACHE_RUN_DIR=/run/apache2' > /etc/apache2/envvars
    echo installed > /var/www/html/index.html
    printf '#!/bin/sh\n[ "$*" = "-D FOREGROUND" ] && exec busybox httpd -f -h /var/www/html\n' > /usr/sbin/apache2
    printf '#!/bin/sh\n[ "$*" = "-k start" ] && busybox httpd -h /var/www/html\n' > /usr/sbin/apachectl
    chmod 755 /usr/sbin/apache2 /usr/sbin/apachectl
    ;;
"-y install nginx")
    mkdir -p /etc/nginx /var/www/html
    echo 'worker_processes auto;' > /etc/nginx/nginx.conf
    printf '#!/bin/sh\ngrep -qx "daemon off;" /etc/nginx/nginx.conf && exec busybox httpd -f -h /var/www/html\n' > /usr/sbin/nginx
    chmod 755 /usr/sbin/nginx
    ;;
*) echo "cannot: $*" >&2; exit 100 ;;
esac
"#;

/// Only the last word counts; for the others it tries as often as the guide says.
const CURL: &str = r#"#!/bin/sh
for url; do :; done
tries=60
until busybox wget -qO- "$url"; do
    tries=$((tries - 1))
    [ $tries != 0 ] || exit 7
    sleep 1
done
"#;

/// A directory with the files of a minimal system.
fn machine(place: &Place) -> PathBuf {
    let machine = place.path("machine");
    fs::create_dir_all(machine.join("usr/sbin")).unwrap();
    let mut unpack = Command::new("tar");
    unpack.arg("-C").arg(&machine).arg("-xf").arg(base_tar());
    assert!(unpack.status().unwrap().success());
    for (name, text) in [
        ("bin/bash", "#!/bin/sh\nexec /bin/sh \"$@\"\n"),
        ("bin/apt-get", APT_GET),
        ("bin/curl", CURL),
    ] {
        let path = machine.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    machine
}

#[test]
fn the_guide_holds_word_for_word() {
    let Some(place) = Place::new() else { return };
    if !has_networks(&place) {
        return;
    }
    let sources = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let walk = Path::new(&sources).join("examples/guide/walk");
    let output = Command::new(walk)
        .arg(machine(&place))
        .env("RBUILD", binary())
        .env("TMPDIR", place.path(""))
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = said(output).ok();
    assert!(said.out.contains("== the guide holds"), "{}", said.out);
    let left: Vec<_> = fs::read_dir(place.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "machine" && name != "store")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
