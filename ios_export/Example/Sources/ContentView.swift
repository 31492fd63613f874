import FaceAllCore
import SwiftUI

/// The camera with names on the faces, and buttons to enrol and to list people.
struct ContentView: View {
    @EnvironmentObject private var faces: FacesModel
    @State private var isEnrolling = false
    @State private var isListing = false
    @State private var name = ""

    var body: some View {
        ZStack(alignment: .bottom) {
            CameraPreview(session: faces.camera.session).ignoresSafeArea()
            NamesOverlay(recognitions: faces.recognitions, frame: faces.frameSize).ignoresSafeArea()
            VStack {
                if let message = faces.message {
                    Text(message).padding().background(.thinMaterial).cornerRadius(12)
                }
                HStack {
                    Button("Enrol") { isEnrolling = true }.disabled(faces.recognitions.isEmpty)
                    Spacer()
                    Button("People (\(faces.people.count))") { isListing = true }
                }
                .buttonStyle(.borderedProminent)
                .padding()
            }
            if !faces.isReady && faces.message == nil {
                ProgressView("Loading the models").frame(maxHeight: .infinity)
            }
        }
        .sheet(isPresented: $isEnrolling) { EnrolView(name: $name) }
        .sheet(isPresented: $isListing) { PeopleView() }
    }
}

/// A form for the name of the face in the image.
struct EnrolView: View {
    @EnvironmentObject private var faces: FacesModel
    @Environment(\.dismiss) private var dismiss
    @Binding var name: String

    var body: some View {
        NavigationView {
            Form {
                Section {
                    TextField("Name", text: $name).textContentType(.name)
                } footer: {
                    Text("Ask people before you enrol them. Their faces stay on this phone until you delete them.")
                }
            }
            .navigationTitle("Who is this?")
            .toolbar {
                ToolbarItem(placement: .cancellationAction) { Button("Cancel") { dismiss() } }
                ToolbarItem(placement: .confirmationAction) {
                    Button("Enrol") {
                        Task {
                            await faces.enrol(as: name)
                            dismiss()
                        }
                    }
                    .disabled(name.trimmingCharacters(in: .whitespaces).isEmpty)
                }
            }
        }
    }
}

/// A box and a name on every face. Positions are mirrored, as the preview of a front camera is.
struct NamesOverlay: View {
    let recognitions: [Recognition]
    let frame: CGSize

    var body: some View {
        GeometryReader { geometry in
            let scale = min(geometry.size.width / frame.width, geometry.size.height / frame.height)
            let left = (geometry.size.width - frame.width * scale) / 2
            let top = (geometry.size.height - frame.height * scale) / 2
            ForEach(Array(recognitions.enumerated()), id: \.offset) { _, recognition in
                let box = recognition.face.box
                let width = CGFloat(box.width) * scale, height = CGFloat(box.height) * scale
                let x = left + (frame.width - CGFloat(box.x1)) * scale, y = top + CGFloat(box.y0) * scale
                Text(recognition.match?.person?.name ?? "?")
                    .font(.headline)
                    .frame(width: width, height: height, alignment: .bottom)
                    .border(recognition.match == nil ? Color.yellow : Color.green, width: 2)
                    .position(x: x + width / 2, y: y + height / 2)
            }
        }
    }
}
