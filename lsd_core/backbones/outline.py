"""Networks whose weights are not at hand, by their configuration: what a plan needs of them."""

from lsd_core.backbones import address
from lsd_core.backbones.catalog import BACKBONES, load_backbone
from lsd_core.backbones.family import FAMILIES
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.published import holds_weights
from lsd_core.storage.home import expanded


def load_or_outline(name: str) -> AnyBackbone:
    """The backbone of this address or, of a folder that holds a configuration alone, its network without memory.

    Such a network has the names, shapes and precision of the tensors; it can be measured and never sampled.
    """
    place = address.parse(name)
    named = place.hub or place.python or place.where in BACKBONES
    path = None if named else expanded(place.where)
    if path is not None and path.is_dir() and not holds_weights(path):
        for _, family in FAMILIES.items():
            folder = family.folder
            if folder is not None and folder.outline is not None and folder.recognises(path):
                return folder.outline(path, place.name, place.options)
    return load_backbone(name)
