;; Never comes to the end of its start function.
(module (func $start (loop $more (br $more))) (start $start))
