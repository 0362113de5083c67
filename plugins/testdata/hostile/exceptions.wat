;; Throws and catches for ever.
(module
  (tag $e)
  (func (export "run") (loop $more (try (do (throw $e)) (catch_all (br $more)))))
)
