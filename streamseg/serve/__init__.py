"""A session over HTTP, for programs of any language: pictures, short films, and the bare network in KServe's protocol v2."""
