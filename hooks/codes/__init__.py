"""From codes to controllers: decoders, hypernetworks, switching gates and their traces."""
