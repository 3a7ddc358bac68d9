"""What a running client, an endpoint or an index does to a model: `genzoo.doctor`."""
