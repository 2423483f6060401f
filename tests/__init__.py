"""The tests. Many import torch before the server's code does; it is set up here as it is there."""

from loopwright.loading.torch_import import let_waiting_threads_sleep

let_waiting_threads_sleep()
