// Ids are joined between tables that other programs wrote, each in its own way: pandas makes numbers with a point of a column of
// integers that has one empty cell, and R writes 1e+05.

package predictions

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// ID is a cell as an id: 1.0, 1.00 and 1e+00 are 1, whatever types their columns have. Everything else is a text that has to be equal: 007 is
// not 7, a hash such as 1e5 is no number, and beyond 2^53 a number with a point tells no integer.
func ID(cell []byte) string {
	point, power := bytes.IndexByte(cell, '.'), bytes.IndexByte(cell, '+')
	if point < 0 && power < 0 || len(cell) > 40 {
		return string(cell)
	}
	digits := strings.TrimPrefix(string(cell), "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(digits) > 1 && digits[1] >= '0' && digits[1] <= '9' ||
		strings.ContainsAny(digits, "_xXpP") || power < 0 && strings.ContainsAny(digits, "eE") {
		return string(cell)
	}
	x, err := strconv.ParseFloat(string(cell), 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) >= exact {
		return string(cell)
	}
	return strconv.FormatInt(int64(x), 10)
}
