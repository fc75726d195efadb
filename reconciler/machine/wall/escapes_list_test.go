//go:build linux

// What is special about some of the escapes in walltest.

package wall_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

func limited(l wall.Limits) func(*machine, *wall.Spec) {
	return func(_ *machine, s *wall.Spec) { s.Limits = l }
}

// overLimit says that it was not ended for this limit.
func overLimit(words string) func(*machine, outcome) string {
	return func(_ *machine, o outcome) string {
		if !strings.Contains(o.end.Over, words) {
			return fmt.Sprintf("it ended with %+v, and was not ended for its limit", o.end)
		}
		return ""
	}
}

// escapes says what is special about some of the attempts.
var escapes = map[string]escape{
	"ReadsTheKeys":               {control: true},
	"ListsOtherRuns":             {control: true},
	"ReadsTheParentsEnvironment": {control: true},
	"SignalsTheController": {control: true, after: func(m *machine, _ outcome) string {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.Victim))
		if err != nil || strings.Contains(string(raw), ") T ") {
			return "the controller was stopped"
		}
		return ""
	}},
	"ChangesTheControllersLimits":       {control: true},
	"ChangesModes":                      {control: true},
	"WritesTheStore":                    {control: true},
	"WritesTheEnvironment":              {control: true},
	"InheritsDescriptors":               {control: true},
	"ReadsTheProxysPassword":            {control: true},
	"ForksWithoutEnd":                   {change: limited(wall.Limits{Processes: 64, OpenFiles: 256, Memory: 2 << 30})},
	"FillsTheDisk":                      {change: limited(wall.Limits{Disk: 32 << 20}), after: overLimit("32 MiB is its limit")},
	"FillsTheDiskWithoutAName":          {change: limited(wall.Limits{Disk: 32 << 20}), after: overLimit("32 MiB is its limit")},
	"FillsTheDiskTooDeepToSee":          {change: limited(wall.Limits{Disk: 32 << 20}), after: overLimit("deeper than")},
	"EatsTheMemory":                     {change: limited(wall.Limits{Memory: 128 << 20}), after: ranOut},
	"EatsTheMemoryUnseen":               {change: limited(wall.Limits{Memory: 128 << 20}), after: ranOut},
	"EatsTheMemoryByFiles":              {change: limited(wall.Limits{Memory: 128 << 20}), after: ranOut},
	"ReachesTheNetwork":                 {control: true},
	"ReachesTheNetworkAsAServer":        {change: func(_ *machine, s *wall.Spec) { s.Port = 4711 }},
	"ConnectsToAUnixSocketOfTheMachine": {control: true},
	"ConnectsToAnAbstractSocket":        {control: true},
	"Ptraces":                           {control: true},
}

// ranOut says that it was neither ended for its limit nor by the kernel.
func ranOut(m *machine, o outcome) string {
	if o.end.Signal != 9 && o.end.Over == "" {
		return fmt.Sprintf("it ended with %+v", o.end)
	}
	if _, err := os.Stat(filepath.Join(m.work, "done")); err == nil {
		return "it had all the memory that it asked for"
	}
	return ""
}
