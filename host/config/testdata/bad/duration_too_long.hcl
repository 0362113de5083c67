conversation {
  silence = "5h"
}
