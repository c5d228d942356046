"""The page of `streamseg live`, its JSON API and its moving pictures: a web server in a thread of its own."""
