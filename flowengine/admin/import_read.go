package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// maxRecord is the longest record of an import, in bytes.
const maxRecord = 256 << 10

// header is what an import document says of all its records. It stands before
// them, for they are imported as they are read.
type header struct {
	Upsert     bool
	Identifier string // AUTHGEAR only
}

// read reads an import document record by record.
func (i *importer) read(doc io.Reader, each func(*incoming) error) error {
	list, parse := "users", i.usherRecord
	switch i.in.Format {
	case "", FormatUsher:
	case FormatAuthgear:
		list, parse = "records", i.authgearRecord
	default:
		return tenant.Invalidf("/format", "format", "there is no format %q; send USHER or AUTHGEAR", i.in.Format)
	}
	limited := &meter{r: doc, left: maxRecord}
	d := json.NewDecoder(limited)
	if err := expect(d, '{'); err != nil {
		return unreadable("", err)
	}
	var h header
	listed := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return unreadable("", err)
		}
		if key != list {
			if err := i.option(d, key.(string), list, listed, &h); err != nil {
				return err
			}
			continue
		}
		if h.Upsert && i.t.Slug == tenant.AdminSlug {
			return tenant.ErrForbidden.Says("users of the admin tenant are changed one by one, so that the last operator stays")
		}
		if i.in.Format == FormatAuthgear && h.Identifier == "" {
			return tenant.Invalidf("/identifier", "required", "identifier must stand before records; it is one of email, phone_number, preferred_username")
		}
		listed = true
		if err := i.records(d, limited, list, func(index int, text json.RawMessage) error {
			r := &incoming{index: index, upsert: h.Upsert}
			parse(r, h, text)
			return each(r)
		}); err != nil {
			return err
		}
	}
	if !listed {
		return tenant.Invalidf("/"+list, "required", "%q is missing", list)
	}
	if _, err := d.Token(); err != nil {
		return unreadable("", err)
	}
	return nil
}

func (i *importer) option(d *json.Decoder, key, list string, listed bool, h *header) error {
	var target any
	switch {
	case key == "upsert":
		target = &h.Upsert
	case key == "identifier" && i.in.Format == FormatAuthgear:
		target = &h.Identifier
	default:
		return tenant.Invalidf("/"+key, "unknown", "unknown key %q", key)
	}
	if listed {
		return tenant.Invalidf("/"+key, "order", "%s stands behind %s and was not heeded; put it before them", key, list)
	}
	if err := d.Decode(target); err != nil {
		return unreadable("/"+key, err)
	}
	if key == "identifier" && claimKinds[h.Identifier] == "" {
		return tenant.Invalidf("/identifier", "enum", "identifier is one of email, phone_number, preferred_username")
	}
	return nil
}

func (i *importer) records(d *json.Decoder, limited *meter, list string, each func(int, json.RawMessage) error) error {
	if err := expect(d, '['); err != nil {
		return unreadable("/"+list, err)
	}
	index := 0
	for ; d.More(); index++ {
		limited.left = maxRecord
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return unreadable(fmt.Sprintf("/%s/%d", list, index), err)
		}
		if err := each(index, text); err != nil {
			return err
		}
	}
	if err := expect(d, ']'); err != nil {
		return unreadable(fmt.Sprintf("/%s/%d", list, index), err)
	}
	limited.left = maxRecord
	return nil
}

func expect(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err == nil && token != want {
		err = fmt.Errorf("expected %v", want)
	}
	return err
}

// unreadable refuses a document that isn't what it should be. Failures of
// reading itself stay internal.
func unreadable(pointer string, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errLongRecord):
		return tenant.ErrTooLarge.Says("%s: a record has at most %d bytes", pointer, maxRecord)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return tenant.Invalidf(pointer, "json", "the document ends too early")
	case errors.As(err, &syntax), errors.As(err, &typ), strings.HasPrefix(err.Error(), "expected "):
		return tenant.Invalidf(pointer, "json", "this can't be read: %v", err)
	}
	return err
}

var errLongRecord = errors.New("over the limit of one record")

// meter stops reading when one record goes on for too long.
type meter struct {
	r    io.Reader
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errLongRecord
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}
