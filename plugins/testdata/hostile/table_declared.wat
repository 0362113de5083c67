;; Wants four thousand million elements.
(module (table 0xffffffff funcref))
