;; Wants 4 GiB from the start.
(module (memory 65536))
