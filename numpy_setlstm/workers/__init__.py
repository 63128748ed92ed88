"""Worker processes that share the minibatches of a network, and the memory in which its weights and gradients lie."""
