//! Calls that wait for their turn, for clients who read one block after the other.

/// A call that began while another was being written, as far as it has come.
pub(crate) struct WaitingCall {
    pub(crate) key: u32,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: String,
}

/// Calls that wait until the one that is being written is whole, in the order of their beginning.
#[derive(Default)]
pub(crate) struct WaitingCalls(Vec<WaitingCall>);

impl WaitingCalls {
    /// Another call begins.
    pub(crate) fn begin(&mut self, key: u32, id: String, name: String) {
        self.0.push(WaitingCall { key, id, name, input: String::new() });
    }

    /// More of the arguments of a call that waits; nothing for one that does not.
    pub(crate) fn add(&mut self, key: u32, fragment: &str) {
        if let Some(call) = self.0.iter_mut().find(|call| call.key == key) {
            call.input.push_str(fragment);
        }
    }

    /// All of them; none waits any more.
    pub(crate) fn take(&mut self) -> Vec<WaitingCall> {
        std::mem::take(&mut self.0)
    }
}
