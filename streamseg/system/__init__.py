"""What surrounds the program: folders, files never half written, standard streams, HTTP, imports that need care."""
