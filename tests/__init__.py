"""The tests. Many of them import torch before the server's code does; it is to wait as it does there."""

from loopwright.loading.torch_import import let_waiting_threads_sleep

let_waiting_threads_sleep()
