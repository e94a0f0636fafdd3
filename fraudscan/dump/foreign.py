"""Recognize files that are no dumps by their first bytes, and say what to do with them."""

from __future__ import annotations

import codecs
import re
import sys
import zipfile
from typing import Any

from fraudscan.dump.encodings import detect

__all__ = [
    "BZIP2",
    "GZIP",
    "MAGIC",
    "PROLOG",
    "TEXTS",
    "WORKBOOK",
    "XZ",
    "ZIP",
    "ZSTD",
    "foreign",
    "is_binary",
    "office_of",
]

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16)))
"""The first bytes of supported archives. Output of pzstd begins with a skippable frame, of which there are 16 kinds."""

ZIP, EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
"""The first bytes of a ZIP archive, and of one without files."""

FOREIGN = {
    **dict.fromkeys((GZIP, BZIP2, XZ, *ZSTD), "an archive that is still packed: unpack it first"),
    **dict.fromkeys(
        (ZIP, EMPTY_ZIP),
        "a ZIP archive, as are .ods and .numbers files; score reads a file that holds exactly one dump: unpack it, or "
        "save the table as .xlsx",
    ),
    **dict.fromkeys((b"\x04\x22\x4d\x18", b"\x1f\x9d"), "an archive of an unsupported kind (.lz4, .Z): unpack it"),
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!\x1a\x07": "a RAR archive: unpack it",
    b"\xd0\xcf\x11\xe0": "an old Office document (.xls), or one with a password: save it as .xlsx without a password",
    b"SQLite format 3\0": "an SQLite database: export the table as CSV",
    **dict.fromkeys((b"%PDF-", b"{\\rtf"), "a document (PDF, RTF): export its text"),
    **dict.fromkeys((b"\xff\xd8\xff", b"\x89PNG"), "an image: extract its text (OCR)"),
    **dict.fromkeys((b"ARROW1\0\0", b"FEA1", b"Obj\1"), "an Arrow, Feather or Avro file: write it as Parquet"),
    **dict.fromkeys(
        (b"\x93NUMPY", b"\x80\4\x95", b"\x80\5\x95", b"\x89HDF"),
        "a file of arrays or objects (NumPy, pickle, HDF5): write the table as Parquet",
    ),
    b"ANDROID BACKUP\n": "a backup of an Android device: extract it, and export the messages as CSV or JSON",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "text in UTF-32: convert it (iconv -t UTF-8)"),
}
"""Files that people mistake for dumps, by their first bytes after unpacking: what each is, and what to do with it."""

WORKBOOK = "an Excel workbook (.xlsx)"
OFFICE = re.compile(
    rb"PK\x03\x04.{26}(?:\[Content_Types\]\.xml|(?:_rels|docProps|customXml|xl|word|ppt)[/\\])", re.DOTALL
)
"""How the ZIP archives begin that Office documents are, and what `foreign` calls them; `workbooks` reads them."""

OFFICE_TYPES = "[Content_Types].xml"
"""The file by which such an archive is told from others, if its list of files can be read."""

OTHER_OFFICE = {
    "xl/workbook.bin": "a binary workbook (.xlsb): save it as .xlsx",
    "word/document.xml": "a Word document: export its text",
    "ppt/presentation.xml": "a presentation: export its text",
}
"""What `foreign` calls such an archive if it is no workbook that can be read, by its main file."""

BINARY = re.compile(rb"[\x04-\x08\x0e-\x1a\x7f]")
"""Control characters that are no white space and hardly ever delimit anything. Texts have next to none of them, and
except in UTF-16 they are no part of other characters. Of random bytes, more than seven per cent are such characters."""

MARKUP = re.compile(
    rb"[\xef\xbb\xbf\xff\xfe\s]*(?:<\?xml[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|meta|table)\b",
    re.IGNORECASE | re.DOTALL,
)
WEB_PAGE = (
    "a web page (HTML): open a table in Excel or WPS and save it as .xlsx; export other messages as CSV or JSON, in "
    'Telegram Desktop as "Machine-readable JSON"'
)
"""How HTML begins, including a table saved under the name of an Excel file, and what `foreign` calls it."""

MARK = rb"[\xef\xbb\xbf\xff\xfe]*"

MAIL = re.compile(MARK + rb"(?:[A-Za-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?MIME-Version:", re.IGNORECASE)
"""How emails begin, and the files that QQ exports by default."""

CARD = re.compile(MARK + rb"BEGIN:V(?:MSG|CARD)")

OTHER_XML = "XML other than the messages (<smses>) of SMS Backup & Restore: export the messages as CSV"
XML = re.compile(
    MARK + rb"\s*<\?xml\s[^>]*>\s*(?:<\?[^>]*>\s*|<![A-Z][^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*<(?!smses[\s/>])[A-Za-z]",
    re.DOTALL,
)
"""How XML with an unsupported root element begins (a list of calls, for example), after any comments, style sheets or
DOCTYPE."""

SQL = re.compile(
    MARK
    + rb"(?:\s|--[^\n]*\n|/\*(?:(?!\*/).)*\*/;?|(?:SET|USE|PRAGMA)\s[^;\n]*;)*"
    + rb"(?:-- *(?:MySQL|MariaDB|PostgreSQL database|phpMyAdmin SQL) dump\b|BEGIN TRANSACTION;\s*\n"
    + rb"|DROP TABLE IF EXISTS\s|CREATE TABLE (?:IF NOT EXISTS )?[^\s(]+\s*\("
    + rb"|(?:INSERT|REPLACE) (?:IGNORE )?INTO [^\s(]+\s*(?:\([^()]*\)\s*)?VALUES\s*\()",
    re.IGNORECASE | re.DOTALL,
)
"""How the SQL that databases export begins, after comments and settings: with the name of the program that wrote it, or
with a statement that makes or fills a table. One line of it may hold many messages."""

WEB_MAIL = "an email, or a web archive such as QQ's .mht: save its text; QQ also exports text (*.txt)"
CARDS = "a file of vMessages or vCards: export CSV or XML from the phone instead"
DATABASE = "an SQL dump: load it into a database and export the table as CSV"
TAR = b"ustar"
MAGIC = 257 + len(TAR)
"""How many bytes identify most of what `foreign` recognizes. A tar archive begins with a file name; its magic number
comes later."""

PROLOG = 4096
"""Maximum bytes of comments and style sheets before the root element of XML, and of comments and settings in SQL."""

TEXTS = {
    WEB_PAGE: (MARKUP, MAGIC),
    WEB_MAIL: (MAIL, sys.maxsize),
    CARDS: (CARD, sys.maxsize),
    OTHER_XML: (XML, PROLOG),
    DATABASE: (SQL, PROLOG),
}
"""What `foreign` calls kinds of text, which can be read as lines if the user asks for that format: how each begins, and
in how many bytes that is looked for."""


def foreign(head: bytes, *, office: str | None = None) -> str:
    """Return what kind of file begins with ``head`` if that kind has no rows to read, else an empty string.

    ``office`` is what kind of Office document it is, if any; ``None`` if only its first bytes tell.
    """
    if head[MAGIC - len(TAR) : MAGIC] == TAR:
        return "a tar archive: unpack it"
    if office is None and OFFICE.match(head):
        return WORKBOOK
    if office:
        return office
    plain = head.replace(b"\0", b"")  # in UTF-16 as well
    texts = (what for what, (begin, size) in TEXTS.items() if begin.match(plain, 0, size))
    return next(texts, None) or next((what for magic, what in FOREIGN.items() if head.startswith(magic)), "")


def office_of(raw: Any) -> str:
    """Return what kind of Office document a file is; empty if it is none.

    Its list of files tells; if that cannot be read, as in an archive that is cut short, the first file does.
    """
    head = raw.peek(MAGIC)
    if head.startswith(ZIP) and raw.seekable():
        try:
            files = zipfile.ZipFile(raw).namelist()
        except Exception:  # noqa: BLE001 - damaged archives raise nearly every kind of error
            files = []
        finally:
            raw.seek(0)
        if files:
            kind = next((what for file, what in OTHER_OFFICE.items() if file in files), WORKBOOK)
            return kind if OFFICE_TYPES in files else ""
    return WORKBOOK if OFFICE.match(head) else ""


def is_binary(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is neither text nor Parquet.

    What is UTF-8 is text, whatever delimits its values. UTF-16 has such bytes in its characters.
    """
    if len(BINARY.findall(head)) <= 2 + len(head) // 50:
        return False
    return not head.startswith(b"PAR1") and not detect(head).startswith("utf-")
