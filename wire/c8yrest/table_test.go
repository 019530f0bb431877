package c8yrest_test

import (
	archive "archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// fillWith stores n measurements of a new device, one each second.
func fillWith(t *testing.T, s *server, name string, n int) (id string) {
	t.Helper()
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	a := s.send(t, "admin", "POST", "/inventory/managedObjects", h, `{"name":"`+name+`","c8y_IsDevice":{}}`)
	id, _ = lookup([]byte(a.body), ".id")
	h.Del("Accept")
	for from := 0; from < n; from += 1000 {
		var b strings.Builder
		for i := from; i < min(n, from+1000); i++ {
			fmt.Fprintf(&b, `,{"source":{"id":"%s"},"time":"2024-02-03T%02d:%02d:%02dZ","type":"t","f":{"s":{"value":%d,"unit":"V"}}}`, id, i/3600, i/60%60, i%60, i)
		}
		if a := s.send(t, "admin", "POST", "/measurement/measurements", h, `{"measurements":[`+b.String()[1:]+`]}`); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	return id
}

const many = 9000

func TestTablesHaveEveryRow(t *testing.T) {
	s := start(t)
	id := fillWith(t, s, "<pump> & \\u0007 motor", many)
	list := "/measurement/measurements?source=" + id
	series := "/measurement/measurements/series?dateFrom=2024-02-01&dateTo=2024-03-01&source=" + id
	for path, first := range map[string]string{list: "0", list + "&revert=true&dateFrom=2024-01-01": "8999", series: "0", series + "&aggregationInterval=1s&aggregationFunction=max": "0",
		series + "&aggregationInterval=1s&aggregationFunction=max&revert=true": "8999"} {
		for _, coding := range []string{"identity", ""} { // without a wish the client takes gzip, and unpacks it
			h := http.Header{"Accept": {"text/csv"}}
			if coding != "" {
				h.Set("Accept-Encoding", coding)
			}
			a := s.send(t, "admin", "GET", path, h, "")
			rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
			if err != nil || a.status != 200 || len(rows) != many+1 || rows[1][4] != first {
				t.Fatalf("%s: %d with %d rows, %v", path, a.status, len(rows), err)
			}
			if rows[1][1] != id || rows[1][3] != "f.s" || rows[1][5] != "V" {
				t.Errorf("%s: %v", path, rows[1])
			}
			values := map[string]bool{}
			for _, r := range rows[1:] {
				values[r[4]] = true
			}
			if len(values) != many {
				t.Errorf("%s: %d different values", path, len(values))
			}
		}
	}
	for _, accept := range []string{"application/vnd.ms-excel", "application/xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"} {
		a := s.send(t, "admin", "GET", list, http.Header{"Accept": {accept}}, "")
		if a.status != 200 || a.header.Get("Content-Type") != "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" || a.header.Get("Content-Encoding") != "" {
			t.Fatalf("%s: %d %v", accept, a.status, a.header)
		}
		sheets := workbook(t, []byte(a.body))
		if len(sheets) != 1 || len(sheets[0]) != many+1 {
			t.Fatalf("%s: %d sheets", accept, len(sheets))
		}
		if got := sheets[0][many]; !slices.Equal(got, []string{"2024-02-03T02:29:59.000Z", id, "<pump> & \uFFFD motor", "f.s", "8999", "V"}) {
			t.Errorf("%s: %q", accept, got)
		}
	}
}

// workbook reads the sheets of a workbook as a program would: by its list of parts.
func workbook(t *testing.T, b []byte) (sheets [][][]string) {
	t.Helper()
	z, err := archive.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	part := func(name string, into any) {
		t.Helper()
		f, err := z.Open(name)
		if err == nil {
			err = xml.NewDecoder(f).Decode(into)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var list struct {
		Sheets []struct {
			Relation string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
		} `xml:"sheets>sheet"`
	}
	var relations struct {
		Relationship []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:",attr"`
		}
	}
	var types struct {
		Override []struct {
			PartName string `xml:",attr"`
		}
	}
	part("xl/workbook.xml", &list)
	part("xl/_rels/workbook.xml.rels", &relations)
	part("[Content_Types].xml", &types)
	part("_rels/.rels", &struct{}{})
	if len(types.Override) != len(list.Sheets)+1 {
		t.Errorf("%d types of parts", len(types.Override))
	}
	for i, entry := range list.Sheets {
		if relations.Relationship[i].ID != entry.Relation {
			t.Fatalf("sheet %d is %s, not %s", i, relations.Relationship[i].ID, entry.Relation)
		}
		var sheet struct {
			Rows []struct {
				Cells []struct {
					Value string `xml:"v"`
					Text  string `xml:"is>t"`
				} `xml:"c"`
			} `xml:"sheetData>row"`
		}
		part("xl/"+relations.Relationship[i].Target, &sheet)
		var rows [][]string
		for _, r := range sheet.Rows {
			var row []string
			for _, c := range r.Cells {
				row = append(row, c.Value+c.Text)
			}
			rows = append(rows, row)
		}
		sheets = append(sheets, rows)
	}
	return sheets
}

func TestAWorkbookHasMoreSheetsWhenOneIsFull(t *testing.T) {
	for rows, want := range map[int][]int{0: {0}, 1: {1}, 4: {4}, 5: {4, 2}, 7: {4, 4}, 8: {4, 4, 2}} {
		var out bytes.Buffer
		if err := c8yrest.Workbook(&out, 4, rows); err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, sheet := range workbook(t, out.Bytes()) {
			got = append(got, len(sheet))
			if len(sheet) > 0 && sheet[0][0] != "head" {
				t.Errorf("%d rows: a sheet begins with %v", rows, sheet[0])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d rows: sheets of %v, want %v", rows, got, want)
		}
	}
}

// TestAClientThatLeaves reads the beginning of a long table and goes; the platform must not mind.
func TestAClientThatLeaves(t *testing.T) {
	s := start(t)
	id := fillWith(t, s, "pump", many)
	for range 20 {
		ctx, leave := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/measurement/measurements?source="+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/csv")
		r.SetBasicAuth("main/admin", adminPassword)
		a, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(a.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "time,source,") {
			t.Fatalf("%q %v", line, err)
		}
		leave()
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
	}
	if a := s.send(t, "admin", "GET", "/measurement/measurements?pageSize=1&source="+id, nil, ""); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
}

func TestHeadOfATableReadsNothing(t *testing.T) {
	s := start(t)
	id := fillWith(t, s, "pump", 3)
	list := "/measurement/measurements?source=" + id
	series := "/measurement/measurements/series?dateFrom=0001-01-01&dateTo=2024-03-01&source=" + id
	for _, path := range []string{list, series, series + "&aggregationInterval=1h"} {
		a := s.send(t, "admin", "HEAD", path, http.Header{"Accept": {"text/csv"}}, "")
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") {
			t.Errorf("HEAD %s: %d %v", path, a.status, a.header)
		}
	}
	if a := s.send(t, "admin", "GET", list, http.Header{"Accept": {"text/csv;q=0, application/json"}}, ""); a.status != 200 || strings.Contains(a.header.Get("Content-Type"), "csv") {
		t.Errorf("q=0 gave %s", a.header.Get("Content-Type"))
	}
	a := s.send(t, "admin", "GET", series+"&aggregationInterval=1h&aggregationFunction=max&aggregationFunction=max,max", nil, "")
	if a.status != 200 || strings.Count(a.body, `"max"`) != 1 {
		t.Errorf("repeated functions: %d %s", a.status, a.body)
	}
}

func TestRetentionRulesRefuseEmptyTexts(t *testing.T) {
	s := start(t)
	for _, name := range []string{"source", "dataType", "type", "fragmentType"} {
		if a := s.send(t, "admin", "POST", "/retention/retentions", http.Header{"Content-Type": {"application/json"}}, `{"maximumAge":3,"`+name+`":""}`); a.status != 422 || !strings.Contains(a.body, name) {
			t.Errorf("an empty %s: %d %s", name, a.status, a.body)
		}
	}
}
