//! A folder of flockerd's own on the disk: files that can be made again, and that nobody else may have touched.

use std::{
    fs::{self, DirBuilder, File, FileTimes, Metadata, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::process::geteuid;
use tempfile::{Builder, NamedTempFile, TempDir, TempPath};

/// How many files are kept; of more, those not used for longest go.
const FILES: usize = 100;

/// A folder that belongs to this user and that nobody else may enter.
#[derive(Debug, Clone)]
pub(super) struct Cache(PathBuf);

/// A file that has no name in the cache yet. It is removed unless it is kept.
pub(super) struct Draft {
    file: TempPath,
    /// For a draft without a cache, the folder made for it.
    _folder: Option<TempDir>,
}

impl Cache {
    /// Opens the folder, made with mode 0700 if need be.
    ///
    /// # Errors
    /// When it cannot be made, or others could have written into it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let folder = fs::symlink_metadata(path)?;
        if !folder.is_dir() || !is_private(&folder) || folder.mode() & 0o077 != 0 {
            let words = "it must be a folder of this user's with mode 0700";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        Ok(Self(path.to_owned()))
    }

    /// Returns the path of a file that is there, and notes that it was used.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.0.join(name);
        let metadata = fs::symlink_metadata(&path).ok()?;
        let sound = metadata.is_file() && is_private(&metadata);
        let now = FileTimes::new().set_modified(SystemTime::now());
        // When it was used is for tidying only.
        let _ = File::open(&path).and_then(|file| file.set_times(now));
        sound.then_some(path)
    }

    /// Returns the name of a file that begins so, if there is one.
    pub(super) fn beginning_with(&self, text: &str) -> Option<String> {
        let mut names = fs::read_dir(&self.0).ok()?.flatten();
        names.find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.starts_with(text).then_some(name)
        })
    }

    /// Makes an empty file with mode 0600.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        let file = NamedTempFile::with_prefix_in(".", &self.0)?.into_temp_path();
        Ok(Draft {
            file,
            _folder: None,
        })
    }

    /// Gives a draft its name, in place of what had it before, and removes what has not been used for longest.
    pub(super) fn keep(&self, draft: Draft, name: &str) -> io::Result<()> {
        draft
            .file
            .persist(self.0.join(name))
            .map_err(|error| error.error)?;
        File::open(&self.0)?.sync_all()?;
        self.tidy()
    }

    fn tidy(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let surplus = files.len().saturating_sub(FILES);
        for (_, path) in files.into_iter().take(surplus) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

impl Draft {
    /// A draft outside of any cache.
    pub(super) fn temporary() -> io::Result<Self> {
        let mut private = Builder::new();
        private.prefix("flockerd-");
        private.permissions(Permissions::from_mode(0o700));
        let folder = private.tempdir()?;
        let file = NamedTempFile::new_in(&folder)?.into_temp_path();
        Ok(Self {
            file,
            _folder: Some(folder),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }
}

fn is_private(metadata: &Metadata) -> bool {
    metadata.uid() == geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (TempDir, Cache) {
        let folder = TempDir::new().unwrap();
        let cache = Cache::open(&folder.path().join("a/b")).unwrap();
        (folder, cache)
    }

    #[test]
    fn a_folder_is_made_private_and_one_that_is_not_is_refused() {
        let (folder, _) = folder();
        let path = folder.path().join("a/b");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o770)).unwrap();
        let refused = Cache::open(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 0700"), "{refused}");
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(Cache::open(&link).is_err());
    }

    #[test]
    fn a_draft_is_nowhere_until_it_is_kept() {
        let (_folder, cache) = folder();
        drop(cache.draft().unwrap());
        assert_eq!(fs::read_dir(&cache.0).unwrap().count(), 0);
        cache.keep(cache.draft().unwrap(), "code").unwrap();
        assert_eq!(cache.file("code"), Some(cache.0.join("code")));
        symlink("code", cache.0.join("link")).unwrap();
        assert_eq!((cache.file("link"), cache.file("none")), (None, None));
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let (_folder, cache) = folder();
        let name = |number: usize| format!("{number:03}");
        for number in 0..FILES {
            cache.keep(cache.draft().unwrap(), &name(number)).unwrap();
        }
        cache.file(&name(0)).unwrap();
        cache.keep(cache.draft().unwrap(), "new").unwrap();
        let left = |number: usize| cache.file(&name(number)).is_some();
        assert_eq!((left(0), left(1), left(2)), (true, false, true));
    }
}
