"""The stages round the network: preprocess, infer (and when: schedule), postprocess."""
