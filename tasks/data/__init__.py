"""The small sets that ship with the package; `genzoo.tasks.sets.bundled` reads them."""
