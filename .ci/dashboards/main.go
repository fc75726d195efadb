// Command dashboards writes Grafana's dashboards of Vishwa, built and strictly read back with
// Grafana's own SDK, to the folder that it is given. With -check it writes nothing, and fails where
// what is there is another one. It is a module of its own: nothing of the SDK is in a program of ours.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	check := flag.Bool("check", false, "fail where what is there is another one, and write nothing")
	flag.Parse()
	if err := run(flag.Arg(0), *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	if dir == "" {
		return errors.New("name the folder of the dashboards")
	}
	for _, d := range all {
		raw, err := made(d)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		at := filepath.Join(dir, d.name+".json")
		if !check {
			if err := os.WriteFile(at, raw, 0o644); err != nil {
				return err
			}
			continue
		}
		if was, err := os.ReadFile(at); err != nil || !bytes.Equal(was, raw) {
			return fmt.Errorf("%s is behind .ci/dashboards: make generate", at)
		}
	}
	return nil
}

// made is a dashboard as JSON. It is read back as Grafana's own types have it: a field that they
// lack, or of another type, is an error.
func made(d board) ([]byte, error) {
	b := dashboard.NewDashboardBuilder(d.title).Uid("vishwa-"+d.name).Description(d.about).Tags([]string{"vishwa"}).
		Timezone("browser").Time("now-24h", "now").Refresh("1m").Readonly().
		Link(dashboard.NewDashboardLinkBuilder("Vishwa").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{"vishwa"}).AsDropdown(true).KeepTime(true).IncludeVars(true)).
		WithVariable(dashboard.NewDatasourceVariableBuilder("ds").Label("Data source").Type("prometheus"))
	for _, v := range d.variables {
		query := v.query
		b = b.WithVariable(dashboard.NewQueryVariableBuilder(v.name).Label(v.label).Datasource(source()).Query(dashboard.StringOrMap{String: &query}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).Multi(true).IncludeAll(true).AllValue(".*"))
	}
	for _, p := range d.panels {
		b = b.WithPanel(p.build())
	}
	whole, err := b.Build()
	if err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := strictly(raw); err != nil {
		return nil, err
	}
	for _, field := range []string{`"gridPos"`, `"legendFormat"`, `"editable"`} { // of a panel, of a query, of the whole
		if strictly(bytes.Replace(raw, []byte(field), []byte(`"none"`), 1)) == nil {
			return nil, fmt.Errorf("the reader takes a field that there is not, in the place of %s", field)
		}
	}
	var back dashboard.Dashboard
	if err := json.Unmarshal(raw, &back); err != nil {
		return nil, err
	}
	if len(back.Panels) != len(d.panels) {
		return nil, fmt.Errorf("%d panels of %d are read back", len(back.Panels), len(d.panels))
	}
	for i, p := range back.Panels {
		if p.Panel == nil || p.Panel.Title == nil || *p.Panel.Title != d.panels[i].title || len(p.Panel.Targets) != len(d.panels[i].queries) {
			return nil, fmt.Errorf("panel %d is another one when it is read back", i)
		}
	}
	return append(raw, '\n'), nil
}

// strictly reads a dashboard as Grafana's own types have it. What is wrong is a list, which is not
// nil where it is empty.
func strictly(raw []byte) error {
	var back dashboard.Dashboard
	if err := back.UnmarshalJSONStrict(raw); err != nil && err.Error() != "" {
		return err
	}
	var plain struct {
		Panels []struct{ Targets []json.RawMessage }
	}
	if err := json.Unmarshal(raw, &plain); err != nil {
		return err
	}
	for _, p := range plain.Panels {
		for _, t := range p.Targets {
			var q prometheus.Dataquery
			if err := q.UnmarshalJSONStrict(t); err != nil && err.Error() != "" {
				return err
			}
		}
	}
	return nil
}

// source is the data source that is chosen on the page.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${ds}")}
}

// board is a dashboard.
type board struct {
	name, title, about string
	variables          []variable
	panels             []panel
}

type variable struct{ name, label, query string }

// panel is one drawing of one query or several.
type panel struct {
	kind, title, about, unit string
	wide                     uint32 // of 24
	queries                  []query
}

type query struct{ expr, legend string }

func (p panel) build() cog.Builder[dashboard.Panel] {
	var targets []cog.Builder[variantsDataquery]
	for i, q := range p.queries {
		t := prometheus.NewDataqueryBuilder().Datasource(source()).Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A' + i)))
		switch p.kind {
		case "table":
			t = t.Instant().Format(prometheus.PromQueryFormatTable)
		case "stat":
			t = t.Instant()
		default:
			t = t.Range().Exemplar(true)
		}
		targets = append(targets, t)
	}
	switch p.kind {
	case "table":
		return table.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source()).Span(p.wide).Height(8).Targets(targets)
	case "stat":
		return stat.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source()).Span(p.wide).Height(4).Unit(p.unit).Targets(targets)
	}
	return timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source()).Span(p.wide).Height(8).Unit(p.unit).Targets(targets)
}
