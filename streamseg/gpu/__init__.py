"""Pictures on the GPU, from decode to composite: the stages of the pipeline where frames live there. Needs the extra `gpu`."""
