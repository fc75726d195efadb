// Workflow commands of GitHub Actions: lines of a job's log that are orders to it
// (https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions).

package harmless

import "strings"

var (
	messageEscapes  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// Message writes s as a command's message: nothing in it ends the command, and of
// what it shows nothing steers.
func Message(s string) string { return messageEscapes.Replace(shownLines(s)) }

// Property writes s as the value of a command's property.
func Property(s string) string { return propertyEscapes.Replace(shownLines(s)) }

// shownLines is s with its line breaks, and everything else as a line shows it.
func shownLines(s string) string {
	if ascii(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return r
		}
		return show(r)
	}, s)
}
