//! Scripted, faulty model providers with their own book of what they served.
