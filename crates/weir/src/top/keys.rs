//! The screen and its keys, on a thread of their own: a terminal that is held (Ctrl-S) does not hold the drain.

use super::draw::draw;
use super::group::Group;
use super::listener::Shared;
use super::view::{Mode, View};
use anyhow::{Context, Result, anyhow};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a key is waited for before the board is looked at again.
const GLANCE: Duration = Duration::from_millis(50);
/// How long the screen may take to close.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines of a page.
const PAGE: isize = 10;
/// Characters of a filter.
const LONGEST: usize = 1000;

/// The screen, open.
pub struct Screen {
    thread: JoinHandle<io::Result<()>>,
    is_over: Arc<AtomicBool>,
}

/// Whether the view goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Stay,
    Quit,
}

impl Screen {
    /// Takes the terminal; it is given back however the thread ends, after a panic too.
    pub fn open(board: Shared, view: View) -> Result<Self> {
        let terminal = ratatui::try_init().context("cannot take the terminal")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let show = move || {
            let outcome = show(terminal, &board, view, &over);
            ratatui::try_restore().and(outcome)
        };
        let thread = thread::Builder::new().name("weir-top".into()).spawn(show);
        Ok(Self { thread: thread.inspect_err(|_| ratatui::restore())?, is_over })
    }

    /// Whether the user has closed it.
    pub fn is_closed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Closes it, and says what went wrong. A thread that reads from a terminal that is gone may never come back from
    /// there: it is not waited for, and ends with the process.
    pub fn close(self) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return Ok(());
            }
            thread::sleep(GLANCE / 5);
        }
        let outcome = self.thread.join().map_err(|_| anyhow!("the screen failed: this is a bug"))?;
        outcome.context("cannot draw on the terminal")
    }
}

fn show(mut terminal: DefaultTerminal, board: &Shared, mut view: View, over: &AtomicBool) -> io::Result<()> {
    let mut is_new = true;
    while !over.load(Ordering::Relaxed) {
        {
            let board = board.lock();
            if view.is_behind(&board) || is_new && !view.is_paused {
                view.look_at(&board);
                is_new = true;
            }
        }
        if is_new {
            terminal.draw(|frame| draw(frame, &view))?;
        }
        is_new = event::poll(GLANCE)?;
        if is_new
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && press(&mut view, key) == Next::Quit
        {
            return Ok(());
        }
    }
    Ok(())
}

fn press(view: &mut View, key: KeyEvent) -> Next {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Next::Quit;
    }
    match std::mem::replace(&mut view.mode, Mode::Rows) {
        // Any key closes it.
        Mode::Help => Next::Stay,
        Mode::Filter(text, _) => {
            write(view, text, key.code);
            Next::Stay
        }
        Mode::Rows => steer(view, key.code),
    }
}

fn write(view: &mut View, mut text: String, key: KeyCode) {
    match key {
        KeyCode::Enter => return view.take_filter(text),
        KeyCode::Esc => return,
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char(character) if !character.is_control() && text.len() < LONGEST => text.push(character),
        _ => {}
    }
    view.mode = Mode::Filter(text, None);
}

fn steer(view: &mut View, key: KeyCode) -> Next {
    match key {
        KeyCode::Char('q') => return Next::Quit,
        KeyCode::Char('?') => view.mode = Mode::Help,
        KeyCode::Char('/') => {
            let text = view.filter.as_ref().map(ToString::to_string).unwrap_or_default();
            view.mode = Mode::Filter(text, None);
        }
        KeyCode::Char('p' | ' ') => view.is_paused = !view.is_paused,
        KeyCode::Char('r') => view.is_reversed = !view.is_reversed,
        KeyCode::Char('<') | KeyCode::Left => view.change_sort(-1),
        KeyCode::Char('>') | KeyCode::Right => view.change_sort(1),
        KeyCode::Char('1') => view.change_group(Group::Process),
        KeyCode::Char('2') => view.change_group(Group::Container),
        KeyCode::Char('3') => view.change_group(Group::Destination),
        KeyCode::Char('g') => view.change_group(match view.group {
            Group::Process => Group::Container,
            Group::Container => Group::Destination,
            Group::Destination => Group::Process,
        }),
        KeyCode::Up | KeyCode::Char('k') => view.go(-1),
        KeyCode::Down | KeyCode::Char('j') => view.go(1),
        KeyCode::PageUp => view.go(-PAGE),
        KeyCode::PageDown => view.go(PAGE),
        KeyCode::Enter => view.enter(),
        KeyCode::Esc => view.leave(),
        _ => {}
    }
    Next::Stay
}
