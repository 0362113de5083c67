;; Imports the function that fuel is handed out by.
(module (import "auricle:engine" "refuel" (func (param i64) (result i64))))
