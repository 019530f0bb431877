package c8yrest

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

const xlsxMedia = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

var xlsxKind = &tableKind{media: xlsxMedia, name: "measurements.xlsx", packed: true, open: func(w io.Writer) table { return &xlsxTable{zip: zip.NewWriter(w), most: sheetRows} }}

// sheetRows is how many rows a sheet of a workbook can have.
const sheetRows = 1 << 20

// xlsxTable writes a workbook (ECMA-376) while rows come: sheets first, what lists them last. Texts stand in their cells, since a table of shared ones
// would have to be kept. A text is never a formula. When a sheet is full, another one begins, with the first row of the first one.
type xlsxTable struct {
	zip    *zip.Writer
	out    *bufio.Writer // the open sheet; nil: none
	most   int
	rows   int // of the open sheet
	sheets int
	head   []cell // the first row
}

const (
	xlsxDeclaration = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	xlsxMain        = `"http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	xlsxRelation    = `http://schemas.openxmlformats.org/officeDocument/2006/relationships`
	xlsxPackage     = `"http://schemas.openxmlformats.org/package/2006/`
	xlsxType        = `application/vnd.openxmlformats-officedocument.spreadsheetml.`
)

func (t *xlsxTable) row(cells []cell) error {
	if t.head == nil {
		t.head = append(t.head, cells...)
	}
	if t.rows == t.most {
		if err := t.closeSheet(); err != nil {
			return err
		}
	}
	if t.out == nil {
		if err := t.openSheet(); err != nil {
			return err
		}
		if t.sheets > 1 {
			if err := t.put(t.head); err != nil {
				return err
			}
		}
	}
	return t.put(cells)
}

func (t *xlsxTable) openSheet() error {
	t.sheets++
	t.rows = 0
	w, err := t.zip.Create(fmt.Sprintf("xl/worksheets/sheet%d.xml", t.sheets))
	if err != nil {
		return err
	}
	t.out = bufio.NewWriterSize(w, csvBlock)
	_, err = t.out.WriteString(xlsxDeclaration + `<worksheet xmlns=` + xlsxMain + `><sheetData>`)
	return err
}

func (t *xlsxTable) closeSheet() error {
	if t.out == nil {
		return nil
	}
	_, _ = t.out.WriteString(`</sheetData></worksheet>`) // an error stays for Flush
	err := t.out.Flush()
	t.out = nil
	return err
}

// put writes a row. The errors of a buffered writer stay: Flush tells them.
func (t *xlsxTable) put(cells []cell) error {
	t.rows++
	_, _ = t.out.WriteString("<row>")
	for _, x := range cells {
		switch {
		case x.text == "":
			_, _ = t.out.WriteString("<c/>")
		case x.number:
			_, _ = t.out.WriteString("<c><v>" + x.text + "</v></c>")
		default:
			_, _ = t.out.WriteString(`<c t="inlineStr"><is><t xml:space="preserve">`)
			_ = xml.EscapeText(t.out, []byte(x.text)) // replaces what XML cannot say
			_, _ = t.out.WriteString("</t></is></c>")
		}
	}
	_, err := t.out.WriteString("</row>")
	return err
}

func (t *xlsxTable) end() error {
	if t.sheets == 0 { // a workbook has one at least
		if err := t.openSheet(); err != nil {
			return err
		}
	}
	if err := t.closeSheet(); err != nil {
		return err
	}
	var types, sheets, relations strings.Builder
	for n := 1; n <= t.sheets; n++ {
		fmt.Fprintf(&types, `<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="%sworksheet+xml"/>`, n, xlsxType)
		fmt.Fprintf(&sheets, `<sheet name="measurements %d" sheetId="%d" r:id="r%d"/>`, n, n, n)
		fmt.Fprintf(&relations, `<Relationship Id="r%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, n, xlsxRelation, n)
	}
	for _, part := range []struct{ name, body string }{
		{"xl/workbook.xml", `<workbook xmlns=` + xlsxMain + ` xmlns:r="` + xlsxRelation + `"><sheets>` + sheets.String() + `</sheets></workbook>`},
		{"xl/_rels/workbook.xml.rels", `<Relationships xmlns=` + xlsxPackage + `relationships">` + relations.String() + `</Relationships>`},
		{"_rels/.rels", `<Relationships xmlns=` + xlsxPackage + `relationships"><Relationship Id="r1" Type="` + xlsxRelation + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"[Content_Types].xml", `<Types xmlns=` + xlsxPackage + `content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + xlsxType + `sheet.main+xml"/>` + types.String() + `</Types>`},
	} {
		w, err := t.zip.Create(part.name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, xlsxDeclaration+part.body); err != nil {
			return err
		}
	}
	return t.zip.Close()
}
