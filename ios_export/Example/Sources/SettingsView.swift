import FaceAllCore
import SwiftUI

/// The settings: how sure a name must be.
struct SettingsView: View {
    @EnvironmentObject private var faces: FacesModel
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationView {
            Form {
                Section {
                    Picker("Strictness", selection: $faces.strictness) {
                        ForEach(Strictness.allCases) { level in
                            Text(level.title).tag(level)
                        }
                    }
                    .pickerStyle(.inline)
                } footer: {
                    Text("A stricter setting gives fewer wrong names and recognises fewer people.")
                }
                Section("Models") {
                    Text("Run by \(faces.runtime)")
                }
            }
            .navigationTitle("Settings")
            .toolbar { ToolbarItem(placement: .cancellationAction) { Button("Done") { dismiss() } } }
        }
    }
}
