"""The small sets that ship with the package; `genzoo.tasks.bundled` reads them."""
