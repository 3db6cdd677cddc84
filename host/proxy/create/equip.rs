//! What a container needs of the flock on the backend where it goes.

use std::sync::Arc;

use bytes::Bytes;

use super::{Creation, body::is_reference};
use crate::{
    backend::Backend,
    docker::create::{Create, Tie},
    error::Error,
    proxy::{Proxy, Turn},
};

impl Proxy {
    /// Brings to a backend what the flock has and the container needs: its image, and what is the same everywhere.
    pub(super) async fn equip(
        &self,
        turn: &Turn,
        creation: &Creation,
        backend: &Arc<Backend>,
    ) -> Result<(), Error> {
        let image = &creation.final_image;
        if is_reference(image) {
            let holders = self.image_holders(turn, image).await?;
            match self.bring_image(turn, image, &holders, backend).await {
                // The client may still pull it.
                Err(Error::Refused { message, .. }) => {
                    tracing::warn!(image, backend = %backend.name, message, "an image was not copied");
                }
                brought => brought?,
            }
        }
        self.share(turn, &creation.ties, backend).await
    }

    /// The body with the names of networks that moved in the place of their old ids, which daemons do not know.
    pub(super) fn with_present_networks(&self, body: Bytes, create: &Create) -> Bytes {
        let index = &self.inventory.index;
        let ties = create.ties();
        let moved = ties.iter().filter_map(|tie| match tie {
            Tie::Network(id) => Some((id, index.network_successor(id)?)),
            Tie::Container(_) | Tie::Volume(_) => None,
        });
        // An id of 64 digits stands for nothing else, wherever it stands.
        let text = moved.fold(None, |text: Option<String>, (old, new)| {
            let text = text.or_else(|| std::str::from_utf8(&body).ok().map(str::to_owned))?;
            Some(text.replace(old.as_str(), &new))
        });
        text.map_or_else(|| body.clone(), Bytes::from)
    }
}
