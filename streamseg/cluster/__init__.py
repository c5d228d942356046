"""A job of many films on several machines, or all cores of one: Ray runs it, the book of the job is the same as without."""
