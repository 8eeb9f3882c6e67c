"""The stylesheet, made from tokens. Names in it are the object names widgets give themselves.

Spacing 4-8-12-16-24, radius 12 for cards and 8 for controls, one-pixel borders, no shadows. Every control that can have
the focus shows it by an accent border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.resources import resource

if TYPE_CHECKING:
    from app.theme import Tokens

_SHEET = """
QWidget {{ color: {text}; }}
QMainWindow, #page, #ground, QDialog, QMessageBox {{ background: {bg}; }}
QScrollArea, #scrolled {{ background: {bg}; border: none; }}
#sidebar {{ background: {sunken}; border: none; border-right: 1px solid {line}; }}
#brand {{ font-size: 15px; font-weight: 600; }}
#card {{ background: {surface}; border: 1px solid {line}; border-radius: 12px; }}
#plain {{ background: transparent; border: none; }}
#banner {{ background: {warn_soft}; border: 1px solid {warn}; border-radius: 8px; }}
#bannerText {{ color: {text}; }}
#strip {{ background: {sunken}; border: 1px solid {line}; border-radius: 8px; }}
#alarm {{ background: {sunken}; border: 2px solid {bad}; border-radius: 8px; }}
#figure {{ font-size: 16px; font-weight: 600; }}
#digits {{ font-family: "{mono}"; font-size: 17px; }}
#headline {{ font-size: 22px; font-weight: 500; }}
#pageTitle {{ font-size: 22px; font-weight: 600; }}
#number {{ font-size: 26px; font-weight: 600; }}
#cardTitle, #muted {{ color: {muted}; }}
#section {{ font-weight: 600; }}
#small {{ color: {muted}; font-size: 12px; }}
#problem {{ color: {bad}; font-size: 12px; font-weight: 600; }}
#tiny {{ color: {muted}; font-size: 11px; }}
#mono {{ font-family: "{mono}"; font-size: 12px; }}
#up {{ color: {accent}; font-size: 13px; font-weight: 600; }}
#down {{ color: {down}; font-size: 13px; font-weight: 600; }}
QPushButton {{ background: {surface}; border: 1px solid {line}; border-radius: 8px; padding: 7px 14px;
  font-weight: 500; }}
QPushButton:hover {{ background: {sunken}; }}
QPushButton:focus {{ border-color: {accent}; }}
QPushButton:disabled {{ color: {muted}; background: {sunken}; }}
QPushButton:default, QPushButton#primary {{ background: {accent}; color: {on_accent}; border-color: {accent}; }}
QPushButton#primary:disabled {{ background: {sunken}; color: {muted}; border-color: {line}; }}
QPushButton#primary:focus {{ border: 2px solid {text}; padding: 6px 13px; }}
QPushButton#danger {{ color: {bad}; }}
QPushButton#nav {{ background: transparent; border: 1px solid transparent; border-radius: 8px; padding: 0 11px;
  text-align: left; color: {muted}; }}
QPushButton#nav:hover {{ color: {text}; }}
QPushButton#nav:checked {{ background: {accent_soft}; color: {accent}; }}
QPushButton#nav:focus {{ border-color: {accent}; }}
QPushButton#tab {{ background: transparent; border: 1px solid transparent; border-radius: 8px; padding: 5px 12px;
  color: {muted}; }}
QPushButton#tab:checked {{ background: {accent_soft}; color: {accent}; }}
QPushButton#tab:focus {{ border-color: {accent}; }}
QLineEdit, QPlainTextEdit {{ background: {surface}; border: 1px solid {line}; border-radius: 8px; padding: 7px 10px;
  selection-background-color: {accent}; selection-color: {on_accent}; }}
QLineEdit:focus, QPlainTextEdit:focus {{ border-color: {accent}; }}
QLineEdit:disabled {{ background: {sunken}; color: {muted}; }}
QCheckBox, QRadioButton {{ spacing: 8px; font-weight: 500; }}
QCheckBox:focus, QRadioButton:focus {{ color: {accent}; }}
QCheckBox::indicator, QRadioButton::indicator {{ width: 16px; height: 16px; border: 1px solid {muted};
  background: {surface}; }}
QCheckBox::indicator {{ border-radius: 4px; }}
QRadioButton::indicator {{ border-radius: 9px; }}
QCheckBox::indicator:hover, QRadioButton::indicator:hover {{ border-color: {accent}; }}
QCheckBox::indicator:checked {{ background: {accent}; border-color: {accent}; image: url("{check}"); }}
QRadioButton::indicator:checked {{ width: 8px; height: 8px; border: 5px solid {accent}; background: {on_accent}; }}
QCheckBox::indicator:checked:disabled {{ background: {muted}; border-color: {muted}; }}
QRadioButton::indicator:checked:disabled {{ border-color: {muted}; }}
QCheckBox:disabled, QRadioButton:disabled {{ color: {muted}; }}
QListView, QTreeView {{ background: transparent; border: 1px solid transparent; border-radius: 8px; outline: none; }}
QListView:focus, QTreeView:focus {{ border-color: {accent}; }}
QTreeView {{ alternate-background-color: {sunken}; }}
QTreeView::item {{ padding: 4px 0; border: none; }}
QTreeView::item:selected {{ background: {accent_soft}; color: {text}; }}
QHeaderView::section {{ background: {surface}; color: {muted}; border: none; padding: 4px 2px; font-size: 12px; }}
QProgressBar {{ background: {sunken}; border: none; border-radius: 4px; max-height: 8px; min-height: 8px; }}
QProgressBar::chunk {{ background: {accent}; border-radius: 4px; }}
QSlider {{ min-height: 22px; }}
QSlider::groove:horizontal {{ background: {line}; height: 4px; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {accent}; border-radius: 2px; }}
QSlider::handle:horizontal {{ background: {surface}; border: 2px solid {accent}; width: 12px; height: 12px;
  margin: -6px 0; border-radius: 8px; }}
QSlider::handle:horizontal:focus {{ background: {accent}; border-color: {text}; }}
QMenu {{ background: {surface}; border: 1px solid {line}; padding: 4px; }}
QMenu::item {{ padding: 6px 18px; border-radius: 6px; }}
QMenu::item:selected {{ background: {accent_soft}; color: {accent}; }}
QMenu::item:disabled {{ color: {muted}; }}
QToolTip {{ background: {surface}; color: {text}; border: 1px solid {line}; padding: 4px; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
QScrollBar::handle:vertical {{ background: {line}; border-radius: 3px; min-height: 28px; }}
QScrollBar::handle:vertical:hover {{ background: {muted}; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
QScrollBar::handle:horizontal {{ background: {line}; border-radius: 3px; min-width: 28px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{ background: none;
  border: none; width: 0; height: 0; }}
"""


def stylesheet(tokens: Tokens, *, mono: str) -> str:
    """The whole sheet for one palette. Cost: Qt restyles every widget, about 10 ms for this window."""
    values = {name: getattr(tokens, name) for name in tokens.__slots__}
    shade = "white" if tokens.on_accent.upper() == "#FFFFFF" else "black"
    check = resource("icons", f"check-{shade}.png").as_posix()
    return _SHEET.format(mono=mono, check=check, **values)
