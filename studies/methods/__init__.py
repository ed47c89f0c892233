"""One study for each method, in a file with the name of the method; `studies.registry` has the list."""
