//! Looks at an input before it is read and chooses the way its bytes come in.

use std::fs::{File, FileType};
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::RawSource;
use super::block::{BlockFeedSource, BlockSource};
use super::choice::{self, Facts, FileSystem};
use super::direct::DirectBlocks;
use super::identity::Watch;
use super::lease;
use super::mmap::MappedFile;
use super::read::ReadBlocks;
use super::uring::{self, UringBlocks};
use crate::config::{InputSpec, IoWay};
use crate::error::{Error, Result};

/// The bytes of an input, one of two ways.
#[derive(Debug)]
pub enum Input {
    /// The whole file as one slice.
    Map(MappedFile),
    /// Owned blocks, read ahead once they are started.
    Blocks(BlockFeedSource),
}

/// An opened input and what is known about it before it is read.
#[derive(Debug)]
pub struct Opened {
    /// The path as it was given, `-` for standard input; for messages.
    pub path_display: String,
    /// Bytes of the input, where that is known before it is read; 0 is an empty file.
    pub length: Option<u64>,
    /// Tells whether a regular file changed since it was opened.
    pub watch: Option<Watch>,
    /// The bytes.
    pub input: Input,
    /// The file once more, when it can be read again; without it batches keep their bytes.
    pub raw: Option<RawSource>,
    /// The way that was taken, never [`IoWay::Auto`].
    pub way: IoWay,
    /// Why: a clause about the file ("it is small").
    pub why: String,
    /// What was done otherwise than asked, one sentence each; nothing is wrong.
    pub notes: Vec<String>,
}

/// Opens an input; `block_bytes` is the size of the blocks if it comes in blocks.
///
/// What can be mapped is a regular file that has bytes. All else (pipes, sockets, terminals, files
/// under /proc that say they are empty) is read in blocks whatever `way` says. Standard input that
/// is a regular file at its beginning is treated as that file. Opening a FIFO waits for its writer.
///
/// # Errors
/// `Input` errors: missing, unreadable, a directory, a block device. An empty file is none: its
/// length is 0.
///
/// # Panics
/// When `block_bytes` is 0.
pub fn open(spec: &InputSpec, way: IoWay, block_bytes: usize) -> Result<Opened> {
    let (path, file) = match spec {
        InputSpec::Path(path) => (path.clone(), open_path(path)?),
        InputSpec::Stdin => {
            let path = PathBuf::from("-");
            let file =
                io::stdin().as_fd().try_clone_to_owned().map_err(|error| refused(&path, &error))?;
            (path, File::from(file))
        }
    };
    let metadata = file.metadata().map_err(|error| refused(&path, &error))?;
    let opening = Opening {
        named: matches!(spec, InputSpec::Path(_)),
        path,
        file,
        way,
        block_bytes,
        why: "it was asked for".into(),
        notes: Vec::new(),
    };
    if metadata.is_dir() {
        Err(opening.unfit("it is a directory", "name its files, or quote a glob: 'DIR/*.csv'"))
    } else if metadata.file_type().is_block_device() {
        Err(opening.unfit("it is a block device", "read it through a pipe: fastload - < DEVICE"))
    } else if metadata.is_file() {
        opening.regular(metadata.len())
    } else {
        Ok(opening.stream(metadata.file_type()))
    }
}

fn open_path(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &io::Error) -> Error {
    let (message, help) = match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file".to_owned(), ""),
        io::ErrorKind::PermissionDenied => (
            "it cannot be read: permission denied".to_owned(),
            "run as a user who may read it, or pipe it in: fastload - < FILE",
        ),
        _ => (format!("it cannot be opened: {error}"), ""),
    };
    Error::input(path, message, help)
}

/// An open file on its way to an [`Opened`].
struct Opening {
    path: PathBuf,
    /// Whether `path` leads to the file; standard input has no path.
    named: bool,
    file: File,
    way: IoWay,
    block_bytes: usize,
    why: String,
    notes: Vec<String>,
}

impl Opening {
    fn unfit(&self, message: &str, help: &str) -> Error {
        Error::input(&self.path, message, help)
    }

    fn regular(mut self, size_bytes: u64) -> Result<Opened> {
        let io_error = |error: io::Error| refused(&self.path, &error);
        let file = Arc::new(self.file.try_clone().map_err(io_error)?);
        let path = self.named.then_some(self.path.as_path());
        let watch = Watch::new(Arc::clone(&file), path).map_err(io_error)?;
        if lease::has_writer(&file) == Some(true) {
            self.notes.push(
                "a process has it open for writing: if it writes, the load stops before its next \
                 commit"
                    .into(),
            );
        }
        // A file of its own begins at 0; standard input where the shell or a program before left
        // it.
        let position = self.file.stream_position().map_err(io_error)?;
        if position > 0 {
            self.why = "it does not begin at byte 0".into();
            self.notes.push(format!(
                "standard input is a file at byte {position}: it is read from there, in blocks"
            ));
            return Ok(self.blocks(Known { watch: Some(watch), ..Known::default() }));
        }
        // Files that a kernel makes up as they are read say 0 or a round number.
        if size_bytes == 0 && self.file.read_at(&mut [0], 0).map_err(io_error)? > 0 {
            self.why = "its length is not known".into();
            self.notes.push("it has bytes although its length is 0: it is read in blocks".into());
            return Ok(self.blocks(Known::default()));
        }
        let known = Known {
            length: Some(size_bytes),
            watch: Some(watch),
            raw: Some(RawSource::File { file, base: 0 }),
        };
        if size_bytes == 0 {
            self.why = "it is empty".into();
            return Ok(self.blocks(known));
        }
        if self.way == IoWay::Uring {
            let direct = self.direct(size_bytes);
            return Ok(self.direct_or_blocks(direct, known));
        }
        if self.way == IoWay::Read {
            return Ok(self.blocks(known));
        }
        let map = match MappedFile::new(&self.file, size_bytes) {
            Ok(map) => map,
            Err(error) => {
                // Such a file's length is not to be trusted either.
                self.why = "it cannot be mapped".into();
                self.notes.push(format!("it cannot be mapped ({error}): it is read in blocks"));
                return Ok(self.blocks(Known::default()));
            }
        };
        let direct = self.choose(&map, size_bytes);
        if self.way == IoWay::Mmap {
            return Ok(self.mapped(map, known));
        }
        Ok(self.direct_or_blocks(direct, known))
    }

    /// Settles what `auto` is for a regular file; the source, if it is read past the page cache.
    fn choose(&mut self, map: &MappedFile, size_bytes: u64) -> Option<DirectBlocks> {
        if self.way != IoWay::Auto {
            return None;
        }
        let (way, why) = choice::choose(&Facts::of(&self.file, size_bytes, map));
        why.clone_into(&mut self.why);
        self.way = way;
        if way != IoWay::Uring {
            return None;
        }
        match DirectBlocks::open(&self.file, size_bytes, self.block_bytes) {
            Ok(source) => Some(source),
            Err(error) => {
                self.way = IoWay::Mmap;
                self.why.push_str(&format!(", and cannot be read past it ({error})"));
                None
            }
        }
    }

    /// The source past the page cache of a regular file for which `io_uring` was asked for; a note
    /// where that cannot be.
    fn direct(&mut self, size_bytes: u64) -> Option<DirectBlocks> {
        if self.way != IoWay::Uring || size_bytes == 0 || uring::probe().is_err() {
            return None;
        }
        let refusal = if FileSystem::of(&self.file) == FileSystem::Memory {
            "its file system is in memory".to_owned()
        } else {
            match DirectBlocks::open(&self.file, size_bytes, self.block_bytes) {
                Ok(source) => return Some(source),
                Err(error) => error.to_string(),
            }
        };
        self.notes.push(format!(
            "it cannot be read past the page cache ({refusal}): it is read through it"
        ));
        None
    }

    fn mapped(mut self, map: MappedFile, known: Known) -> Opened {
        if !map.is_guarded() {
            self.notes.push(
                "nothing guards its map: if it is cut short meanwhile, the process ends with \
                 SIGBUS (input::guard::install, or read it in blocks)"
                    .into(),
            );
        }
        self.opened(|_| Input::Map(map), known)
    }

    fn direct_or_blocks(self, direct: Option<DirectBlocks>, known: Known) -> Opened {
        match direct {
            Some(source) => self.fed(|_| Box::new(source), known),
            None => self.blocks(known),
        }
    }

    fn stream(mut self, file_type: FileType) -> Opened {
        let what = if file_type.is_fifo() {
            "a pipe"
        } else if file_type.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        if self.way == IoWay::Mmap {
            self.notes.push(format!("{what} cannot be mapped: it is read in blocks"));
        }
        self.why = format!("it is {what}");
        self.blocks(Known::default())
    }

    /// Blocks of a regular file of known length, or of a stream.
    fn blocks(mut self, known: Known) -> Opened {
        if self.way == IoWay::Uring
            && let Err(error) = uring::probe()
        {
            self.notes.push(format!(
                "the kernel does not allow io_uring ({error}): it is read with plain read"
            ));
            self.way = IoWay::Read;
            self.why = "the kernel does not allow io_uring".into();
        }
        let length = known.length;
        if self.way == IoWay::Uring {
            return self.fed(|file| Box::new(UringBlocks::new(file, length)), known);
        }
        self.way = IoWay::Read;
        match length {
            Some(_) => self.fed(|file| Box::new(ReadBlocks::new(file, length)), known),
            None => self.fed(|file| Box::new(ReadBlocks::stream(file)), known),
        }
    }

    fn fed(self, source: impl FnOnce(File) -> Box<dyn BlockSource>, known: Known) -> Opened {
        let (block_bytes, may_pause) = (self.block_bytes, known.length.is_none());
        let feed = |file| BlockFeedSource::new(source(file), block_bytes, may_pause);
        self.opened(|file| Input::Blocks(feed(file)), known)
    }

    fn opened(self, input: impl FnOnce(File) -> Input, known: Known) -> Opened {
        Opened {
            path_display: self.path.display().to_string(),
            length: known.length,
            watch: known.watch,
            raw: known.raw,
            input: input(self.file),
            way: self.way,
            why: self.why,
            notes: self.notes,
        }
    }
}

/// What is known of an input before it is read; nothing of a stream.
#[derive(Default)]
struct Known {
    length: Option<u64>,
    watch: Option<Watch>,
    raw: Option<RawSource>,
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::error::ErrorKind;

    fn all_bytes(opened: Opened) -> Vec<u8> {
        match opened.input {
            Input::Map(map) => map.bytes().to_vec(),
            Input::Blocks(source) => {
                let feed = source.start(2);
                let mut bytes = Vec::new();
                while let Some(block) = feed.take().expect("readable") {
                    assert_eq!(block.offset, bytes.len() as u64);
                    bytes.extend_from_slice(block.bytes());
                }
                bytes
            }
        }
    }

    fn open_at(path: &Path, way: IoWay) -> Result<Opened> {
        open(&InputSpec::Path(path.to_path_buf()), way, 7)
    }

    fn message(path: &Path) -> String {
        match open_at(path, IoWay::Mmap).expect_err("unfit").into_kind() {
            ErrorKind::Input { message, .. } => message,
            kind => panic!("{kind:?}"),
        }
    }

    #[test]
    fn every_way_gives_the_same_bytes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data");
        let bytes = b"id,name\n1,one\n2,two\n";
        std::fs::write(&path, bytes).expect("written");
        for way in [IoWay::Auto, IoWay::Mmap, IoWay::Read, IoWay::Uring] {
            let opened = open_at(&path, way).expect("opens");
            assert_eq!(opened.length, Some(bytes.len() as u64));
            let is_mapped = matches!(way, IoWay::Auto | IoWay::Mmap);
            assert_eq!(matches!(opened.input, Input::Map(_)), is_mapped);
            assert_eq!(opened.path_display, path.display().to_string());
            assert_eq!(opened.watch.as_ref().map(Watch::check), Some(Ok(())));
            let mut again = Vec::new();
            let range = crate::record::ByteRange { start: 8, end: 13 };
            opened
                .raw
                .as_ref()
                .expect("a file can be read again")
                .copy_range(range, &mut again)
                .expect("readable");
            assert_eq!(again, b"1,one");
            assert_eq!(all_bytes(opened), bytes, "{way:?}");
        }
    }

    #[test]
    fn a_file_in_memory_is_not_read_past_the_page_cache() {
        let Ok(mut file) = tempfile::NamedTempFile::new_in("/dev/shm") else {
            eprintln!("not tested: there is no /dev/shm");
            return;
        };
        let bytes = b"id,name\n".repeat(2000);
        file.write_all(&bytes).expect("written");
        if FileSystem::of(file.as_file()) != FileSystem::Memory {
            eprintln!("not tested: /dev/shm is not in memory");
            return;
        }
        let opened = open_at(file.path(), IoWay::Uring).expect("opens");
        let expected = if uring::probe().is_ok() {
            "it cannot be read past the page cache (its file system is in memory)"
        } else {
            "the kernel does not allow io_uring"
        };
        let is_told = opened.notes.iter().any(|note| note.starts_with(expected));
        assert!(is_told, "{:?}", opened.notes);
        assert!(all_bytes(opened) == bytes);
        let opened = open_at(file.path(), IoWay::Auto).expect("opens");
        assert_eq!(
            (opened.way, opened.why.as_str()),
            (IoWay::Mmap, "its file system is in memory")
        );
        assert!(all_bytes(opened) == bytes);
    }

    #[test]
    fn auto_says_what_it_took_and_why() {
        let mut file = tempfile::NamedTempFile::new_in(".").expect("a file");
        file.write_all(b"id\n1\n").expect("written");
        let opened = open_at(file.path(), IoWay::Auto).expect("opens");
        assert_eq!((opened.way, opened.why.as_str()), (IoWay::Mmap, "it is small"));
        for way in [IoWay::Mmap, IoWay::Read] {
            let opened = open_at(file.path(), way).expect("opens");
            assert_eq!((opened.way, opened.why.as_str()), (way, "it was asked for"));
        }
        // Large, and nothing of it is in the page cache: a hole has no pages.
        let large = tempfile::NamedTempFile::new_in(".").expect("a file");
        large.as_file().set_len(200 << 20).expect("made long");
        let opened = open_at(large.path(), IoWay::Auto).expect("opens");
        assert_ne!(opened.why, "it is in the page cache");
        match (opened.way, &opened.input) {
            (IoWay::Uring, Input::Blocks(_)) => {
                assert_eq!(opened.why, "it is not in the page cache");
            }
            (IoWay::Mmap, Input::Map(_)) => eprintln!("not direct here: {}", opened.why),
            (way, _) => panic!("{way:?}: {}", opened.why),
        }
    }

    #[test]
    fn an_empty_file_is_the_callers_business() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for way in [IoWay::Auto, IoWay::Mmap, IoWay::Read, IoWay::Uring] {
            let opened = open_at(file.path(), way).expect("opens");
            assert_eq!(opened.length, Some(0));
            assert_eq!(all_bytes(opened), b"");
        }
    }

    #[test]
    fn what_is_no_input_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(message(&dir.path().join("none")), "there is no such file");
        assert_eq!(message(dir.path()), "it is a directory");
    }

    #[test]
    fn a_file_under_proc_is_read_although_it_says_it_is_empty() {
        let path = Path::new("/proc/self/maps");
        for way in [IoWay::Auto, IoWay::Mmap, IoWay::Read, IoWay::Uring] {
            let opened = open_at(path, way).expect("opens");
            assert_eq!(opened.length, None);
            assert!(opened.watch.is_none() && opened.raw.is_none());
            assert_eq!(opened.notes.len(), 1);
            assert!(!all_bytes(opened).is_empty());
        }
    }

    #[test]
    fn a_fifo_is_read_in_blocks() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        for way in [IoWay::Auto, IoWay::Mmap, IoWay::Read, IoWay::Uring] {
            let writer = std::thread::spawn({
                let path = path.clone();
                move || std::fs::write(path, "a,b\nc,d\n")
            });
            let opened = open_at(&path, way).expect("opens");
            assert_eq!(opened.length, None);
            assert_eq!(opened.notes.len(), usize::from(way == IoWay::Mmap));
            assert_eq!(all_bytes(opened), b"a,b\nc,d\n");
            writer.join().expect("ends").expect("written");
        }
    }
}
