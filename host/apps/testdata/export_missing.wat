;; Rebuild with: go generate ./host/apps (needs wabt's wat2wasm).
;;
;; Exports nothing that a host could call.
(module
  (memory (export "memory") 1))
