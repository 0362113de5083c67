;; Shares its memory with threads.
(module (memory 1 2 shared))
