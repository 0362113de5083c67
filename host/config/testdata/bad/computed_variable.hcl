data_dir = "${env.HOME}/auricle"

app "a" {
  module = "${dir}/a.wasm"
}
