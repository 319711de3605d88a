//! Graphs in few words.

use image::{DiffId, Digest, Platform};

use crate::op::{
    ContextOp, CopyOp, CopySource, ExecOp, HttpOp, ImageOp, ImageOrigin, MakeDirOp, NetworkMode,
    SecurityMode, Unpack,
};
use crate::selector::Purpose;
use crate::{Graph, Op, Selector, Vertex, VertexId, VertexMeta};

/// Builds graphs.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) graph: Graph,
}

impl Plan {
    pub(super) fn add(
        &mut self,
        op: Op,
        inputs: &[VertexId],
        name: &str,
        forced: bool,
    ) -> VertexId {
        self.graph.add(Vertex {
            op,
            inputs: inputs.to_vec(),
            meta: VertexMeta {
                name: name.to_owned(),
                forced,
                ..VertexMeta::default()
            },
        })
    }

    pub(super) fn scratch(&mut self) -> VertexId {
        self.add(Op::Scratch, &[], "scratch", false)
    }

    pub(super) fn image(&mut self, layer: u64) -> VertexId {
        let op = ImageOp {
            reference: format!("image{layer}"),
            origin: ImageOrigin::Store,
            manifest: Digest::of(&layer.to_be_bytes()),
            diff_ids: vec![DiffId(Digest::of(&layer.to_le_bytes()))],
            platform: Platform::new("linux", "amd64", ""),
        };
        self.add(Op::Image(op), &[], &format!("image{layer}"), false)
    }

    pub(super) fn context(&mut self, name: &str) -> VertexId {
        self.add(
            Op::Context(ContextOp { name: name.into() }),
            &[],
            name,
            false,
        )
    }

    pub(super) fn http(&mut self, url: &str) -> VertexId {
        let op = HttpOp {
            url: url.into(),
            checksum: None,
            file_name: "f".into(),
        };
        self.add(Op::Http(op), &[], url, false)
    }

    /// A step that leaves a number below `modulus`: 1 means that it always leaves the same.
    pub(super) fn run(&mut self, root: VertexId, name: &str, modulus: u64) -> VertexId {
        self.add(exec(name, modulus), &[root], name, false)
    }

    pub(super) fn forced(&mut self, root: VertexId, name: &str, modulus: u64) -> VertexId {
        self.add(exec(name, modulus), &[root], name, true)
    }

    /// Copies `path` of `source`: the remainder of its sum by the number that `path` is.
    pub(super) fn copy(&mut self, root: VertexId, source: VertexId, path: &str) -> VertexId {
        self.add(
            copy(path, false),
            &[root, source],
            &format!("copy {path}"),
            false,
        )
    }

    pub(super) fn copy_link(&mut self, source: VertexId, path: &str) -> VertexId {
        let scratch = self.scratch();
        self.add(
            copy(path, true),
            &[scratch, source],
            &format!("link {path}"),
            false,
        )
    }

    pub(super) fn workdir(&mut self, root: VertexId, path: &str, forced: bool) -> VertexId {
        let op = MakeDirOp {
            path: path.into(),
            mode: 0o755,
            owner: String::new(),
            epoch: None,
        };
        self.add(Op::MakeDir(op), &[root], path, forced)
    }

    pub(super) fn merge(&mut self, parts: &[VertexId]) -> VertexId {
        self.add(Op::Merge, parts, "merge", false)
    }
}

fn exec(name: &str, modulus: u64) -> Op {
    Op::Exec(ExecOp {
        args: vec![name.into(), modulus.to_string()],
        env: Vec::new(),
        proxy_env: Vec::new(),
        cwd: "/".into(),
        user: String::new(),
        hostname: String::new(),
        network: NetworkMode::Default,
        security: SecurityMode::Sandbox,
        mounts: Vec::new(),
        scripts: Vec::new(),
        extra_hosts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
        cgroup_parent: None,
        devices: Vec::new(),
        platform: Platform::new("linux", "amd64", ""),
    })
}

fn copy(path: &str, link: bool) -> Op {
    Op::Copy(CopyOp {
        sources: vec![CopySource::Files {
            input: 1,
            selector: Selector {
                path: path.into(),
                pattern: false,
                parents: false,
                excludes: Vec::new(),
                purpose: Purpose::Copy,
            },
            unpack: Unpack::Never,
        }],
        dest: "/".into(),
        owner: None,
        mode: None,
        link,
        epoch: None,
    })
}
